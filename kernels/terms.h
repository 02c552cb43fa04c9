// Factors of large products, which are split into planes of bytes before they are multiplied.
#pragma once
#include "product.h"

// A matrix that is the sum of two with factors, modulo 2^64; the second one may be null.
struct Terms {
  const u64* words[2];
  u64 factor[2];
};
struct Split {
  Terms pair[2];
  u8* planes;
  // Words from a row of a matrix to the next.
  u64 pitch;
  // Rows of the left factor or columns of the right one; depth of a pair.
  u32 lines, k;
  // 1 or 2; planes: 18 or 19 of residues, 8 of bytes.
  u32 pairs, count;
};

// Elements k..k+16 of a line, zeros past its end.
template <bool RIGHT> DEV void terms_at(u64 (&x)[16], const Split& p, const Terms& terms, u32 line, u32 k) {
#pragma unroll
  for (u32 t = 0; t < 2; t++) {
    const u64* words = terms.words[t];
    if (t && !words) break;
    const u64 factor = terms.factor[t];
#pragma unroll
    for (u32 g = 0; g < 4; g++) {
      u64 v[4];
      if (RIGHT) {
#pragma unroll
        for (u32 j = 0; j < 4; j++) {
          const u32 at = k + 4 * g + j;
          v[j] = at < p.k ? words[at * p.pitch + line] : 0;
        }
      } else {
        load_row(v, words + line * p.pitch, true, k + 4 * g, p.k);
      }
#pragma unroll
      for (u32 j = 0; j < 4; j++) x[4 * g + j] = v[j] * factor + (t ? x[4 * g + j] : 0);
    }
  }
}
