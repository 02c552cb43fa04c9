// E0104: a header line that is repeated, out of place or unknown
use nn::relu;

owners hospital;

entry f(x: fix from hospital) -> fix to hospital { relu(x) }