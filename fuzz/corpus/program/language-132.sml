owners clinic, vendor;

entry score(x: fix from clinic, w: fix from vendor) -> fix to clinic {
    select(x > w, x, w)
}