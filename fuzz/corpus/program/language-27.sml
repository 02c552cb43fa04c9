// E0204: two definitions of one name
owners hospital, all;

entry f(x: fix from hospital) -> fix to all {
    x
}