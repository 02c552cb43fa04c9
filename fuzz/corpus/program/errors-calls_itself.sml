//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn power(x: fix, n: nat) -> fix {
    if n > 0 { x * power(x, n - 1) } else { 1.0 }
}

struct List { head: fix, tail: List }
struct Odd { even: Even }
struct Even { odd: [Odd; 2] }

entry f(x: fix from hospital) -> fix to hospital { f(x) }
