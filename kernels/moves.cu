// Moves of words, and of the bits of planes: strided views, concatenation, an axis by its indices.
//
// In planes, element e of plane p is bit e % 64 of word p * stride + e / 64, with stride = ceil(len / 64). A thread
// makes a whole word of the result, run by run; bits past the last element are zero.
#include "device.h"

enum : u32 { MAX_AXES = 8 };

// A strided view, innermost axis first: the element with index (.., i1, i0) is word start + sum of i_a * stride[a] of
// the operand if each i_a is in first[a]..end[a], else `fill`. Unused axes have size 1, first 0, end 1, stride 0.
template <class Index> struct View {
  s64 start;
  s64 stride[MAX_AXES];
  u64 fill;
  Index size[MAX_AXES], first[MAX_AXES], end[MAX_AXES];
  // Of axes 0.. by which an element's number is divided.
  Divisor by[MAX_AXES];
  u32 axes;
};

DEV u32 quotient(const View<u32>& v, u32 n, u32 axis) { return divide(n, v.by[axis]); }
DEV u64 quotient(const View<u64>& v, u64 n, u32 axis) { return n / v.size[axis]; }

// Where element `number` is.
template <class Index> struct Place {
  // Its index on axis 0.
  Index at;
  // The word of index 0 there, and whether the other axes' indices are valid.
  s64 word;
  bool valid;
  DEV Place(const View<Index>& v, Index number) : at(number), word(v.start), valid(true) {
    if (v.axes <= 1) return;
    number = quotient(v, at, 0);
    at -= number * v.size[0];
#pragma unroll
    for (u32 a = 1; a < MAX_AXES; a++) {
      Index rest = 0;
      if (a + 1 < v.axes) rest = quotient(v, number, a);
      Index index = number - rest * v.size[a];
      word += (s64)index * v.stride[a];
      valid = valid && index >= v.first[a] && index < v.end[a];
      number = rest;
      if (a + 1 >= v.axes) break;
    }
  }
};

template <class Index> DEV void copy_body(const u64* in, u64* out, const View<Index>& v, Index count) {
  // Two elements at a time, so that more words are on their way.
  const u64 step = thread_count();
  for (u64 i = thread_number(); i < count; i += 2 * step) {
    u64 words[2];
#pragma unroll
    for (u32 j = 0; j < 2; j++) {
      Place<Index> place(v, (Index)(i + j * step));
      bool valid = i + j * step < count && place.valid && place.at >= v.first[0] && place.at < v.end[0];
      words[j] = valid ? in[place.word + (s64)place.at * v.stride[0]] : v.fill;
    }
    out[i] = words[0];
    if (i + step < count) out[i + step] = words[1];
  }
}

// out[i] = in[view(i)] for `count` elements. Any grid; block 256. The first is for fewer than 2^31 elements.
KERNEL(copy_words, 256, 4, const u64* in, u64* out, const __grid_constant__ View<u32> v, u32 count) {
  copy_body(in, out, v, count);
}
KERNEL(copy_words_long, 256, 3, const u64* in, u64* out, const __grid_constant__ View<u64> v, u64 count) {
  copy_body(in, out, v, count);
}

// The same for fewer than 2^31 elements, where axis `fast` (1 to 7) steps by the operand's neighbouring words and axis
// 0 does not: through tiles of 32x32 in shared memory, so that reads and writes are of neighbours. `view.by` is not
// used by number but by tile: by[0] by ceil(size[0] / 32), by[fast] by ceil(size[fast] / 32), others by size. Grid: any
// number of blocks, which go through the `tiles`: the product of those numbers. Block 256.
KERNEL(copy_words_across, 256, 4, const u64* in, u64* out, const __grid_constant__ View<u32> v, u32 fast, u32 tiles) {
  __shared__ u64 room[32][33];
  const u32 x = threadIdx.x & 31, y = threadIdx.x >> 5;
  for (u32 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    // Indices of the tile's first element, its place in both, how much of it there is.
    u32 rest = tile, rows = 0, row0 = 0, col0 = 0;
    s64 from = v.start, row_step = 0, each_out = 1, to = 0, out_row_step = 0;
    bool valid = true;
    u32 row_first = 0, row_end = 0;
#pragma unroll
    for (u32 a = 0; a < MAX_AXES; a++) {
      if (a < v.axes) {
        u32 number = a == 0 || a == fast ? (v.size[a] + 31) / 32 : v.size[a];
        u32 next = divide(rest, v.by[a]), at = rest - next * number;
        rest = next;
        if (a == 0) {
          col0 = at * 32;
        } else if (a == fast) {
          row0 = at * 32, rows = v.size[a], row_step = v.stride[a], out_row_step = each_out;
          row_first = v.first[a], row_end = v.end[a];
        } else {
          from += at * v.stride[a];
          to += at * each_out;
          valid = valid && at >= v.first[a] && at < v.end[a];
        }
        each_out *= v.size[a];
      }
    }
#pragma unroll
    for (u32 j = 0; j < 32; j += 8) {
      u32 col = col0 + y + j, row = row0 + x;
      bool inside = valid && row >= row_first && row < row_end && col >= v.first[0] && col < v.end[0];
      room[y + j][x] = inside ? in[from + row * row_step + col * v.stride[0]] : v.fill;
    }
    __syncthreads();
#pragma unroll
    for (u32 j = 0; j < 32; j += 8) {
      u32 col = col0 + x, row = row0 + y + j;
      if (col < v.size[0] && row < rows) out[to + row * out_row_step + col] = room[x][y + j];
    }
    __syncthreads();
  }
}

// ---- bits -------------------------------------------------------------------------------------------------------

// `count` (1 to 64) bits from bit `at` on.
DEV u64 bits_at(const u64* plane, u64 at, u32 count) {
  u32 shift = at & 63;
  u64 value = plane[at >> 6] >> shift;
  if (shift + count > 64) value |= plane[(at >> 6) + 1] << (64 - shift);
  return value & low_bits(count);
}

// A view of each of `planes` planes; `in_stride` words a plane of the operand, elements of which there are fewer than
// 2^31. Any grid; block 256.
KERNEL(copy_bits, 256, 4, const u64* in, u64* out, const __grid_constant__ View<u32> v, u32 count, u32 planes,
       u64 in_stride) {
  const u32 stride = (count + 63) / 64;
  for (u64 i = thread_number(); i < (u64)stride * planes; i += thread_count()) {
    const u32 plane = (u32)(i / stride), word = (u32)(i - (u64)plane * stride);
    const u64* from = in + plane * in_stride;
    const u32 wanted = count - word * 64 < 64 ? count - word * 64 : 64;
    u64 value = 0;
    for (u32 done = 0; done < wanted;) {
      // The rest of a row, or of the word.
      Place<u32> place(v, word * 64 + done);
      u32 at = place.at, left = v.size[0] - at, run = left < wanted - done ? left : wanted - done;
      u64 bits = v.fill & 1 ? low_bits(run) : 0;
      u32 first = at > v.first[0] ? at : v.first[0], end = at + run < v.end[0] ? at + run : v.end[0];
      if (first < end && place.valid) {
        s64 source = place.word + (s64)first * v.stride[0];
        u32 length = end - first;
        u64 some = 0;
        if (v.stride[0] == 1) {
          some = bits_at(from, source, length);
        } else {
          for (u32 b = 0; b < length; b++, source += v.stride[0]) some |= bits_at(from, source, 1) << b;
        }
        bits = (bits & ~(low_bits(length) << (first - at))) | some << (first - at);
      }
      value |= bits << done;
      done += run;
    }
    out[i] = value;
  }
}

// ---- concatenation ----------------------------------------------------------------------------------------------

// An operand of a concatenation: `chunk` of its elements for each outer index, `before` those of the operands before
// it. `stride` is its words a plane.
struct Chunk {
  const u64* words;
  u64 before, chunk, stride;
};

// The operand that has element `at` of a row: the last that begins there or before.
DEV u32 chunk_of(const Chunk* chunks, u32 count, u64 at) {
  u32 low = 0, high = count;
  while (high - low > 1) {
    u32 middle = (low + high) / 2;
    if (chunks[middle].before <= at) low = middle;
    else high = middle;
  }
  return low;
}

// out is, for each outer index, a chunk of each of `count` operands in turn; `row` elements in all, which `by_row`
// divides by. No chunk is empty. `elements` = outer * row. Any grid; block 256.
KERNEL(concat_words, 256, 4, const Chunk* chunks, u32 count, u64* out, u64 elements, u64 row, LongDivisor by_row) {
  for (u64 i = thread_number(); i < elements; i += thread_count()) {
    u64 outer = divide(i, by_row), at = i - outer * row;
    const Chunk c = chunks[chunk_of(chunks, count, at)];
    out[i] = c.words[outer * c.chunk + at - c.before];
  }
}

// The same for each of `planes` planes. Any grid; block 256.
KERNEL(concat_bits, 256, 4, const Chunk* chunks, u32 count, u64* out, u64 elements, u64 row, LongDivisor by_row,
       u32 planes) {
  const u64 stride = (elements + 63) / 64;
  for (u64 i = thread_number(); i < stride * planes; i += thread_count()) {
    const u64 plane = i / stride, first = (i - plane * stride) * 64;
    const u32 wanted = elements - first < 64 ? elements - first : 64;
    u64 value = 0;
    for (u32 done = 0; done < wanted;) {
      u64 outer = divide(first + done, by_row), at = first + done - outer * row;
      const Chunk c = chunks[chunk_of(chunks, count, at)];
      u64 left = c.before + c.chunk - at;
      u32 run = left < wanted - done ? left : wanted - done;
      value |= bits_at(c.words + plane * c.stride, outer * c.chunk + at - c.before, run) << done;
      done += run;
    }
    out[i] = value;
  }
}

// ---- an axis by its indices -------------------------------------------------------------------------------------

struct Gather {
  // The operand's index for each of the result's, below 2^31, or -1 for zeros.
  const s32* index;
  // Elements inside of the axis, size of the operand's axis, elements of a row of the result: indices times `inner`.
  u64 inner, axis, row;
  LongDivisor by_inner, by_row;
};

// out[o, j, i] = in[o, index[j], i], and 0 where index[j] is -1; `elements` of out. Any grid; block 256.
KERNEL(gather_words, 256, 4, const u64* in, u64* out, const __grid_constant__ Gather g, u64 elements) {
  for (u64 i = thread_number(); i < elements; i += thread_count()) {
    u64 outer = divide(i, g.by_row), inside = i - outer * g.row, j = divide(inside, g.by_inner);
    s32 from = g.index[j];
    out[i] = from < 0 ? 0 : in[(outer * g.axis + from) * g.inner + inside - j * g.inner];
  }
}

// The same for each of `planes` planes; `in_stride` words a plane of the operand. Any grid; block 256.
KERNEL(gather_bits, 256, 4, const u64* in, u64* out, const __grid_constant__ Gather g, u64 elements, u32 planes,
       u64 in_stride) {
  const u64 stride = (elements + 63) / 64;
  for (u64 i = thread_number(); i < stride * planes; i += thread_count()) {
    const u64 plane = i / stride, first = (i - plane * stride) * 64;
    const u32 wanted = elements - first < 64 ? elements - first : 64;
    u64 value = 0;
    for (u32 done = 0; done < wanted;) {
      u64 outer = divide(first + done, g.by_row), inside = first + done - outer * g.row, j = divide(inside, g.by_inner);
      u64 at = inside - j * g.inner, left = g.inner - at;
      u32 run = left < wanted - done ? left : wanted - done;
      s32 from = g.index[j];
      if (from >= 0) value |= bits_at(in + plane * in_stride, (outer * g.axis + from) * g.inner + at, run) << done;
      done += run;
    }
    out[i] = value;
  }
}

// Zeros, for kernels that add parts to what is there.
//
// Grid: any number of blocks.
KERNEL(zero_words, 256, 4, u64* out, u64 count) {
  for (u64 i = thread_number(); i < count; i += thread_count()) out[i] = 0;
}
