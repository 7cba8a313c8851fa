//! Python's pickles, protocols 2 to 5, as far as plain data goes.
//!
//! A pickle is a program for a small stack machine, and some of its opcodes import and call what they are given.
//! Those end the reading; there is nothing here that could run them. What is left can still hurt: a list in a list
//! in a list exhausts the stack of a reader that recurses, a length that is only announced exhausts the memory,
//! and a list that is put twice into another through the memo, again and again, is as large as one likes once it
//! is written out. So values stand in one table and name each other by their place in it: nothing is copied,
//! nothing recurses, not even where they are dropped, strings stay where they were, and since every opcode makes
//! one value at most the table is bounded by the bytes read.

use super::{Bad, GROUPS, Session, USER_ID, USERNAME};

/// Reads a pickled dict.
pub(super) fn session(raw: &[u8]) -> Result<Session, Bad> {
    if !matches!(raw, [op::PROTO, 2..=5, ..]) {
        return Err(Bad::NotASession);
    }
    let mut machine = Machine::new(raw);
    let root = machine.run()?;
    let groups = match machine.field(root, GROUPS)? {
        None | Some(Value::None) => Vec::new(),
        Some(Value::Items(items)) => items
            .iter()
            .take(crate::limits::GROUPS_MAX + 1)
            .map(|&item| machine.value(item)?.name(GROUPS))
            .collect::<Result<_, Bad>>()?,
        Some(_) => return Err(Bad::NotAName(GROUPS)),
    };
    let one = |field| match machine.field(root, field)? {
        None | Some(Value::None) => Ok(None),
        Some(value) => value.name(field).map(Some),
    };
    Session::checked(one(USER_ID)?, one(USERNAME)?, groups)
}

/// A place in the table of values.
type Place = u32;

#[derive(Debug)]
enum Value<'a> {
    None,
    Text(&'a str),
    Integer(i64),
    /// A list, a tuple or a set.
    Items(Vec<Place>),
    Dict(Vec<(Place, Place)>),
    /// A boolean, a float, bytes, an integer beyond 64 bits, text with half a surrogate pair: nobody's name.
    Other,
}

struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<Place>,
    /// How high the stack was at each MARK.
    marks: Vec<usize>,
    memo: Vec<Option<Place>>,
    memo_max: usize,
}

impl<'a> Machine<'a> {
    fn new(raw: &'a [u8]) -> Machine<'a> {
        Machine {
            rest: raw,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            memo_max: raw.len(),
        }
    }

    /// Runs to STOP; what is on top then is the value.
    fn run(&mut self) -> Result<Place, Bad> {
        loop {
            match self.byte()? {
                op::STOP => return self.pop(),
                opcode => self.step(opcode)?,
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), Bad> {
        match opcode {
            op::PROTO => self.take(1).map(drop),
            op::FRAME => self.take(8).map(drop),
            op::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::MEMOIZE | op::BINPUT | op::LONG_BINPUT | op::BINGET | op::LONG_BINGET => {
                self.memo(opcode)
            }
            op::APPEND | op::APPENDS | op::ADDITEMS | op::SETITEM | op::SETITEMS => {
                self.fill(opcode)
            }
            op::GLOBAL
            | op::STACK_GLOBAL
            | op::INST
            | op::OBJ
            | op::NEWOBJ
            | op::NEWOBJ_EX
            | op::REDUCE
            | op::BUILD
            | op::EXT1
            | op::EXT2
            | op::EXT4
            | op::PERSID
            | op::BINPERSID => Err(Bad::NamesAClass),
            _ => {
                let value = self.made(opcode)?;
                self.push(value)
            }
        }
    }

    /// The value that an opcode makes.
    fn made(&mut self, opcode: u8) -> Result<Value<'a>, Bad> {
        let value = match opcode {
            op::NONE => Value::None,
            op::NEWTRUE | op::NEWFALSE => Value::Other,
            op::BINFLOAT => self.take(8).map(|_| Value::Other)?,
            op::BININT => integer(self.take(4)?),
            // These two have no sign.
            op::BININT1 => Value::Integer(self.number(1)? as i64),
            op::BININT2 => Value::Integer(self.number(2)? as i64),
            op::LONG1 => integer(self.counted(1)?),
            op::LONG4 => integer(self.counted(4)?),
            op::SHORT_BINUNICODE => text(self.counted(1)?),
            op::BINUNICODE => text(self.counted(4)?),
            op::BINUNICODE8 => text(self.counted(8)?),
            op::SHORT_BINBYTES => self.counted(1).map(|_| Value::Other)?,
            op::BINBYTES => self.counted(4).map(|_| Value::Other)?,
            op::BINBYTES8 | op::BYTEARRAY8 => self.counted(8).map(|_| Value::Other)?,
            op::EMPTY_DICT => Value::Dict(Vec::new()),
            op::EMPTY_LIST | op::EMPTY_TUPLE | op::EMPTY_SET => Value::Items(Vec::new()),
            op::TUPLE1 => Value::Items(self.popped(1)?),
            op::TUPLE2 => Value::Items(self.popped(2)?),
            op::TUPLE3 => Value::Items(self.popped(3)?),
            op::TUPLE | op::FROZENSET => Value::Items(self.popped_to_mark()?),
            _ => return Err(Bad::NotASession),
        };
        Ok(value)
    }

    /// Opcodes that put what is on top into what is below.
    fn fill(&mut self, opcode: u8) -> Result<(), Bad> {
        let added = match opcode {
            op::APPEND => self.popped(1)?,
            op::SETITEM => self.popped(2)?,
            _ => self.popped_to_mark()?,
        };
        let into = self.top()?;
        let into = self.values.get_mut(into as usize);
        match (opcode, into.ok_or(Bad::NotASession)?) {
            (op::APPEND | op::APPENDS | op::ADDITEMS, Value::Items(items)) => items.extend(added),
            (op::SETITEM | op::SETITEMS, Value::Dict(pairs)) => {
                let (keys_and_values, []) = added.as_chunks() else {
                    return Err(Bad::NotASession);
                };
                pairs.extend(keys_and_values.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Err(Bad::NotASession),
        }
        Ok(())
    }

    /// Opcodes that keep what is on top for later, or bring it back.
    fn memo(&mut self, opcode: u8) -> Result<(), Bad> {
        let at = match opcode {
            op::MEMOIZE => self.memo.len(),
            op::BINPUT | op::BINGET => self.number(1)? as usize,
            _ => self.number(4)? as usize,
        };
        if matches!(opcode, op::BINGET | op::LONG_BINGET) {
            let place = self.memo.get(at).copied().flatten();
            self.stack.push(place.ok_or(Bad::NotASession)?);
            return Ok(());
        }
        // Python counts them; an index of four billion is not one that it reached by counting.
        if at > self.memo_max {
            return Err(Bad::TooBig);
        }
        let top = self.top()?;
        if at >= self.memo.len() {
            self.memo.resize(at + 1, None);
        }
        *self.memo.get_mut(at).ok_or(Bad::NotASession)? = Some(top);
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), Bad> {
        let place = Place::try_from(self.values.len()).map_err(|_| Bad::TooBig)?;
        self.values.push(value);
        self.stack.push(place);
        Ok(())
    }

    fn top(&self) -> Result<Place, Bad> {
        let floor = self.marks.last().copied().unwrap_or_default();
        let above = self.stack.get(floor..).and_then(<[Place]>::last);
        above.copied().ok_or(Bad::NotASession)
    }

    fn pop(&mut self) -> Result<Place, Bad> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The topmost values, the lowest of them first. Python never reaches below a MARK for them.
    fn popped(&mut self, count: usize) -> Result<Vec<Place>, Bad> {
        let floor = self.marks.last().copied().unwrap_or_default();
        match self.stack.len().checked_sub(count) {
            Some(from) if from >= floor => Ok(self.stack.split_off(from)),
            _ => Err(Bad::NotASession),
        }
    }

    fn popped_to_mark(&mut self) -> Result<Vec<Place>, Bad> {
        let mark = self.marks.pop().ok_or(Bad::NotASession)?;
        // Nothing is popped below a mark, so the stack is at least as high.
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn byte(&mut self) -> Result<u8, Bad> {
        let (&byte, rest) = self.rest.split_first().ok_or(Bad::NotASession)?;
        self.rest = rest;
        Ok(byte)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Bad::NotASession)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number of up to eight bytes without sign, the least byte first.
    fn number(&mut self, width: usize) -> Result<u64, Bad> {
        let bytes = self.take(width)?.iter().rev();
        Ok(bytes.fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Bytes behind their number, which is compared with what is there before anything else is done with it.
    fn counted(&mut self, width: usize) -> Result<&'a [u8], Bad> {
        let count = usize::try_from(self.number(width)?).map_err(|_| Bad::NotASession)?;
        self.take(count)
    }

    fn value(&self, place: Place) -> Result<&Value<'a>, Bad> {
        self.values.get(place as usize).ok_or(Bad::NotASession)
    }

    /// What a dict has under a key: the last, as in Python.
    fn field(&self, dict: Place, key: &str) -> Result<Option<&Value<'a>>, Bad> {
        let Value::Dict(pairs) = self.value(dict)? else {
            return Err(Bad::NotASession);
        };
        let is_it = |place| matches!(self.value(place), Ok(Value::Text(text)) if *text == key);
        let found = pairs.iter().rev().find(|(name, _)| is_it(*name));
        found.map(|&(_, value)| self.value(value)).transpose()
    }
}

impl Value<'_> {
    fn name(&self, field: &'static str) -> Result<String, Bad> {
        match self {
            Value::Text(text) => Ok((*text).to_owned()),
            Value::Integer(integer) => Ok(integer.to_string()),
            _ => Err(Bad::NotAName(field)),
        }
    }
}

fn text(bytes: &[u8]) -> Value<'_> {
    std::str::from_utf8(bytes).map_or(Value::Other, Value::Text)
}

/// An integer in two's complement, the least byte first; no bytes are zero.
fn integer(bytes: &[u8]) -> Value<'static> {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut whole = [if negative { 0xff } else { 0 }; 8];
    match whole.get_mut(..bytes.len()) {
        Some(low) => low.copy_from_slice(bytes),
        None => return Value::Other,
    }
    Value::Integer(i64::from_le_bytes(whole))
}

/// The opcodes, by their names in Python's `pickle`.
mod op {
    pub(super) const MARK: u8 = b'(';
    pub(super) const STOP: u8 = b'.';
    pub(super) const BINFLOAT: u8 = b'G';
    pub(super) const BININT: u8 = b'J';
    pub(super) const BININT1: u8 = b'K';
    pub(super) const BININT2: u8 = b'M';
    pub(super) const NONE: u8 = b'N';
    pub(super) const PERSID: u8 = b'P';
    pub(super) const BINPERSID: u8 = b'Q';
    pub(super) const REDUCE: u8 = b'R';
    pub(super) const BINUNICODE: u8 = b'X';
    pub(super) const APPEND: u8 = b'a';
    pub(super) const BUILD: u8 = b'b';
    pub(super) const GLOBAL: u8 = b'c';
    pub(super) const APPENDS: u8 = b'e';
    pub(super) const BINGET: u8 = b'h';
    pub(super) const INST: u8 = b'i';
    pub(super) const LONG_BINGET: u8 = b'j';
    pub(super) const OBJ: u8 = b'o';
    pub(super) const BINPUT: u8 = b'q';
    pub(super) const LONG_BINPUT: u8 = b'r';
    pub(super) const SETITEM: u8 = b's';
    pub(super) const TUPLE: u8 = b't';
    pub(super) const EMPTY_TUPLE: u8 = b')';
    pub(super) const EMPTY_LIST: u8 = b']';
    pub(super) const SETITEMS: u8 = b'u';
    pub(super) const EMPTY_DICT: u8 = b'}';
    pub(super) const PROTO: u8 = 0x80;
    pub(super) const NEWOBJ: u8 = 0x81;
    pub(super) const EXT1: u8 = 0x82;
    pub(super) const EXT2: u8 = 0x83;
    pub(super) const EXT4: u8 = 0x84;
    pub(super) const TUPLE1: u8 = 0x85;
    pub(super) const TUPLE2: u8 = 0x86;
    pub(super) const TUPLE3: u8 = 0x87;
    pub(super) const NEWTRUE: u8 = 0x88;
    pub(super) const NEWFALSE: u8 = 0x89;
    pub(super) const LONG1: u8 = 0x8a;
    pub(super) const LONG4: u8 = 0x8b;
    pub(super) const BINBYTES: u8 = b'B';
    pub(super) const SHORT_BINBYTES: u8 = b'C';
    pub(super) const SHORT_BINUNICODE: u8 = 0x8c;
    pub(super) const BINUNICODE8: u8 = 0x8d;
    pub(super) const BINBYTES8: u8 = 0x8e;
    pub(super) const EMPTY_SET: u8 = 0x8f;
    pub(super) const ADDITEMS: u8 = 0x90;
    pub(super) const FROZENSET: u8 = 0x91;
    pub(super) const NEWOBJ_EX: u8 = 0x92;
    pub(super) const STACK_GLOBAL: u8 = 0x93;
    pub(super) const MEMOIZE: u8 = 0x94;
    pub(super) const FRAME: u8 = 0x95;
    pub(super) const BYTEARRAY8: u8 = 0x96;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A protocol 4 pickle of these opcodes.
    fn read(opcodes: &[u8]) -> Result<Session, Bad> {
        session(&[b"\x80\x04", opcodes].concat())
    }

    /// `{field: <opcodes>}`.
    fn read_field(field: &str, opcodes: &[u8]) -> Result<Session, Bad> {
        let key = [&[op::SHORT_BINUNICODE, field.len() as u8], field.as_bytes()].concat();
        read(&[b"}(", &key[..], opcodes, b"u."].concat())
    }

    #[test]
    fn a_pickle_that_names_os_system_is_refused_in_every_way_to_name_it() {
        let calls: [&[u8]; 10] = [
            b"cos\nsystem\n(X\x02\x00\x00\x00idtR.",
            b"\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
            b"(ios\nsystem\n.",
            b"(cos\nsystem\nX\x02\x00\x00\x00ido.",
            b"\x8c\x02os\x8c\x06system\x93)\x81.",
            b"\x8c\x02os\x8c\x06system\x93)}\x92.",
            b"\x82\x01.",
            b"\x83\x01\x00.",
            b"\x84\x01\x00\x00\x00.",
            b"Pos.system\n.",
        ];
        for call in calls {
            assert_eq!(read(call), Err(Bad::NamesAClass), "{call:?}");
            // Also in a corner where nobody looks.
            let corner = [b"}(\x8c\x04cart", call, b"u."].concat();
            assert_eq!(read(&corner), Err(Bad::NamesAClass), "{call:?}");
        }
        for opcode in [b"R", b"b", b"Q", b"o"] {
            assert_eq!(read(&[b"})", &opcode[..]].concat()), Err(Bad::NamesAClass));
        }
    }

    #[test]
    fn nesting_costs_neither_stack_nor_more_than_its_bytes() {
        let deep = 100_000;
        let lists = [vec![b']'; deep], vec![b'a'; deep - 1]].concat();
        let said = read_field("cart", &lists);
        assert_eq!(said, Ok(Session::default()));
        let said = read_field(GROUPS, &lists);
        assert_eq!(said, Err(Bad::NotAName(GROUPS)));
        assert_eq!(read(&vec![b'('; 200_000]), Err(Bad::NotASession));
    }

    #[test]
    fn a_billion_laughs_through_the_memo_are_not_written_out() {
        // Each list holds the one before it twice: written out, 2^60 names.
        let mut laughs = b"](\x8c\x03lol\x8c\x03lole\x94".to_vec();
        for before in 0..60 {
            laughs.extend([b']', b'(', b'h', before, b'h', before, b'e', 0x94]);
        }
        // All but the last of the 61 lists lie below it, so they are taken together as one tuple.
        let tuple = [b"(", &laughs[..], b"t"].concat();
        assert_eq!(read_field("cart", &tuple), Ok(Session::default()));
        assert_eq!(read_field(GROUPS, &tuple), Err(Bad::NotAName(GROUPS)));
        // A list that holds itself.
        let said = read_field(GROUPS, b"]\x94h\x00a");
        assert_eq!(said, Err(Bad::NotAName(GROUPS)));
    }

    #[test]
    fn many_groups_that_cost_few_bytes_each_are_refused() {
        let many = [
            b"](\x8c\x05staff\x94".to_vec(),
            b"h\x00".repeat(100_000),
            b"e".to_vec(),
        ];
        assert_eq!(read_field(GROUPS, &many.concat()), Err(Bad::TooBig));
    }

    #[test]
    fn announced_lengths_are_compared_with_what_is_there() {
        for opcodes in [
            &b"X\xff\xff\xff\xff"[..],
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x8b\xff\xff\xff\xff",
            b"B\xff\xff\xff\xff",
        ] {
            assert_eq!(read(opcodes), Err(Bad::NotASession), "{opcodes:?}");
        }
        assert_eq!(read(b"}r\xff\xff\xff\xff."), Err(Bad::TooBig));
        assert_eq!(read(b"}j\xff\xff\xff\xff."), Err(Bad::NotASession));
    }

    #[test]
    fn numbers_are_read_with_their_sign_and_big_ones_are_nobody() {
        let user = |opcodes: &[u8]| read_field(USER_ID, opcodes).map(|read| read.user_id);
        for (opcodes, id) in [
            (&b"K\xff"[..], "255"),
            (b"M\xff\xff", "65535"),
            (b"J\xfe\xff\xff\xff", "-2"),
            (b"\x8a\x00", "0"),
            (b"\x8a\x02\xff\x00", "255"),
            (b"\x8a\x01\xff", "-1"),
            (b"\x8b\x05\x00\x00\x00\x00\x00\x00\x00\x01", "4294967296"),
            (b"\x8c\x02\xc3\xa9", "\u{e9}"),
        ] {
            assert_eq!(user(opcodes), Ok(Some(id.to_owned())), "{opcodes:?}");
        }
        for opcodes in [
            &b"\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09"[..],
            b"\x88",
            b"C\x01a",
            b"G\x3f\xf0\x00\x00\x00\x00\x00\x00",
            b"\x8c\x03\xed\xa0\x80",
        ] {
            assert_eq!(user(opcodes), Err(Bad::NotAName(USER_ID)), "{opcodes:?}");
        }
        assert_eq!(user(b"N"), Ok(None));
    }

    #[test]
    fn a_machine_that_is_misused_says_so() {
        for opcodes in [
            &b""[..],
            b".",
            b"u.",
            b"}(u",
            b"}(Nu.",
            b"}(.",
            b"](}a.",
            b"Na.",
            b"}Na.",
            b"]NNs.",
            b"N\x86.",
            b"}h\x00.",
            b"\x94.",
            b"(\x85.",
            b"I7\n.",
            b"].",
            b"K\x07.",
        ] {
            assert_eq!(read(opcodes), Err(Bad::NotASession), "{opcodes:?}");
        }
        for version in [0, 1, 6, 255] {
            assert_eq!(session(&[0x80, version, b'}', b'.']), Err(Bad::NotASession));
        }
        assert_eq!(read(b"}."), Ok(Session::default()));
    }
}
