#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ws4redis_fuzz::orders(bytes));
