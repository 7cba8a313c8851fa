//! What the instruction gate says of a count (`benches/instructions`).

#[path = "../benches/instructions/figures.rs"]
#[expect(dead_code, unreachable_pub, reason = "the gate has other uses for it")]
mod figures;

use self::figures::{Figures, Verdict};

const FILE: &str = "# Why.\ncompiler = \"rustc 1\"\n\n[a]\ninstructions = 100.0\nreason = \"first\"\n\n\
                    [b]\ninstructions = 50.0\nreason = \"first\"\n";

fn figures(text: &str) -> Figures {
    Figures::parse(text.to_owned())
}

fn verdict(figures: &Figures, name: &str, count: f64) -> Verdict {
    figures.judge(name, count).1
}

#[test]
fn two_per_cent_more_pass_and_four_do_not() {
    let figures = figures(FILE);
    for (count, expected) in [
        (102.0, Verdict::Same),
        (104.0, Verdict::Dearer),
        (98.0, Verdict::Same),
        (96.0, Verdict::Cheaper),
    ] {
        assert_eq!(verdict(&figures, "a", count), expected);
    }
}

#[test]
fn a_figure_that_is_raised_needs_a_reason_and_one_that_is_lowered_keeps_its_own() {
    let mut figures = figures(FILE);
    figures.accept("a", 104.0, "rustc 1");
    figures.accept("b", 40.0, "rustc 1");
    assert_eq!(verdict(&figures, "a", 104.0), Verdict::Unexplained);
    assert_eq!(figures.judge("b", 40.0), (40.0, Verdict::Same));
}

#[test]
fn figures_do_not_creep_up_and_are_all_new_with_another_compiler() {
    let mut figures = figures(FILE);
    figures.accept("a", 102.0, "rustc 1");
    assert_eq!(figures.judge("a", 102.0).0, 100.0);
    figures.accept("a", 102.0, "rustc 2");
    assert_eq!(figures.judge("a", 102.0), (102.0, Verdict::Same));
}

#[test]
fn what_is_new_gets_a_figure_and_needs_a_reason_and_what_is_gone_is_named() {
    let mut figures = figures(FILE);
    assert_eq!(verdict(&figures, "c", 7.0), Verdict::Missing);
    figures.accept("c", 7.0, "rustc 1");
    assert_eq!(figures.judge("c", 7.0), (7.0, Verdict::Unexplained));
    assert_eq!(figures.strays(&["a", "c"]), ["b"]);
}

#[test]
fn a_figure_that_nothing_would_pass_is_none() {
    for figure in ["nan", "inf", "0", "-1", "many", ""] {
        let mut figures = figures(&FILE.replace("100.0", figure));
        assert_eq!(verdict(&figures, "a", 100.0), Verdict::Missing, "{figure}");
        figures.accept("a", 100.0, "rustc 1");
        assert_eq!(figures.judge("a", 100.0), (100.0, Verdict::Unexplained));
    }
}
