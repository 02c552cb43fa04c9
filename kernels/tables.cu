// Tables: one-hot places, their rotation, and sums of polynomials by piece. `places` and `pieces` are powers of two,
// given by their logarithms.
#include "device.h"

// The place that a word says; shift + log <= 64 and shift < 64.
DEV u64 place_of(u64 word, u32 shift, u32 log) { return word >> shift & low_bits(log); }

// out[e * places + j] is values[e] (1 if `values` is null) where j is the place of words[e] + add, and 0 elsewhere;
// `count` elements of out. Any grid; block 256.
KERNEL(one_hot, 256, 4, const u64* words, const u64* values, u64* out, u64 count, u64 add, u32 shift, u32 log) {
  for (u64 i = thread_number(); i < count; i += thread_count()) {
    u64 e = i >> log;
    bool here = place_of(words[e] + add, shift, log) == (i & low_bits(log));
    u64 value = values ? values[e] : 1;
    out[i] = here ? value : 0;
  }
}

// out[e * places + j] = rows[e * places + (j - place of by[e]) mod places]; `count` elements of out. Any grid; block
// 256.
KERNEL(rotate, 256, 4, const u64* rows, const u64* by, u64* out, u64 count, u32 shift, u32 log) {
  const u64 mask = low_bits(log);
  for (u64 i = thread_number(); i < count; i += thread_count()) {
    u64 turn = place_of(by[i >> log], shift, log);
    out[i] = rows[(i & ~mask) | ((i - turn) & mask)];
  }
}

// A term of a lookup. Coefficients go from the highest power down, `powers` (at least 1) of them: for polynomials of
// each piece coefficients[power * pieces + piece], short ones led by zeros; with `factors`, which then has one for each
// piece, coefficients[power] of the polynomial that serves all.
struct Term {
  const s64 *coefficients, *factors;
  u64* out;
  u32 powers, unused;
};

// floor(high:low / 2^shift) modulo 2^64, for a signed number of 128 bits and shift from 0 to 63.
DEV s64 shift_right(s64 high, u64 low, u32 shift) { return shift ? (u64)high << (64 - shift) | low >> shift : low; }
// (high:low + 2^(drop - 1)) / 2^drop, rounded down; drop from 1 to 62.
DEV s64 rounded(s64 high, u64 low, u32 drop) {
  u64 sum = low + (1ull << (drop - 1));
  return shift_right(high + (sum < low), sum, drop);
}
// The polynomial at v, a fraction of `fraction` bits: y = floor(y * v / 2^fraction) + c from the highest power down.
DEV s64 polynomial(const s64* coefficients, u32 powers, u64 step, s64 v, u32 fraction) {
  s64 y = 0;
  for (u32 i = 0; i < powers; i++) {
    y = shift_right(__mul64hi(y, v), (u64)y * (u64)v, fraction) + coefficients[i * step];
  }
  return y;
}

// For each term, out[e] = sum over j of rows[e * pieces + j] * g(p, v), where p = (j + (by[e] >> shift)) mod pieces, v
// the low `shift` bits of by[e] as a fraction of `fraction` bits, and g the term divided by 2^drop, rounded. fraction
// <= 62, drop from 1 to 62. min(pieces, 32) neighbouring lanes share an element. Any grid; block 256.
KERNEL(lookup, 256, 3, const u64* rows, const u64* by, const Term* terms, u32 term_count, u64 count, u32 shift, u32 log,
       u32 fraction, u32 drop) {
  const u32 lanes_log = log < 5 ? log : 5, lanes = 1 << lanes_log, lane = threadIdx.x & (lanes - 1);
  const u64 pieces = 1ull << log;
  // All lanes of a warp go on until the last has no element left, since they add up together.
  const u64 warps_first = (thread_number() & ~31ull) >> lanes_log, mine = thread_number() >> lanes_log;
  for (u64 done = 0; warps_first + done < count; done += thread_count() >> lanes_log) {
    const u64 e = mine + done;
    const bool exists = e < count;
    const u64 word = exists ? by[e] : 0, turn = place_of(word, shift, log), low = word & low_bits(shift);
    const s64 v = shift > fraction ? low >> (shift - fraction) : low << (fraction - shift);
    for (u32 t = 0; t < term_count; t++) {
      const Term term = terms[t];
      u64 sum = 0;
      s64 common = term.factors ? polynomial(term.coefficients, term.powers, 1, v, fraction) : 0;
      for (u64 j = lane; exists && j < pieces; j += lanes) {
        u64 piece = (j + turn) & (pieces - 1);
        s64 value;
        if (term.factors) {
          s64 factor = term.factors[piece];
          value = rounded(__mul64hi(common, factor), (u64)common * (u64)factor, drop);
        } else {
          s64 y = polynomial(term.coefficients + piece, term.powers, pieces, v, fraction);
          value = rounded(y >> 63, y, drop);
        }
        sum += rows[(e << log) + j] * (u64)value;
      }
      for (u32 other = lanes >> 1; other; other >>= 1) sum += __shfl_xor_sync(ALL_LANES, sum, other);
      if (exists && lane == 0) term.out[e] = sum;
    }
  }
}
