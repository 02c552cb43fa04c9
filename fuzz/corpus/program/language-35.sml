owners hospital, vendor;
fixed(int = 16, frac = 16);
/// What `///` documents: an item,
struct Pair {
    /// or a field.
    left: fix, // anything else is `//`
    right: fix,
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
