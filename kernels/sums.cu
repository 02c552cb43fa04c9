// Sums of words along an axis and over windows.
#include "device.h"

// out[o, i] = sum over a of in[o, a, i]; `count` of out, which by_inner divides by `inner`. One thread an element: for
// axes that are short, or results with many elements. Any grid; block 256.
KERNEL(sum_each, 256, 4, const u64* in, u64* out, u64 count, u64 axis, u64 inner, LongDivisor by_inner) {
  for (u64 i = thread_number(); i < count; i += thread_count()) {
    u64 outer = divide(i, by_inner);
    const u64* at = in + outer * axis * inner + (i - outer * inner);
    u64 sum = 0;
#pragma unroll 4
    for (u64 a = 0; a < axis; a++) sum += at[a * inner];
    out[i] = sum;
  }
}

// The same for long axes: a block adds up 2^log (0 to 5) neighbouring elements, 256 >> log threads for each. Elements
// of one outer index are covered by ceil(inner / 2^log) blocks. Grid: x = outer * that number (below 2^31), y = parts
// (1 to 65,535) of the axis; with more than one part, out is zeros before the launch. Block 256.
KERNEL(sum_long, 256, 4, const u64* in, u64* out, u64 axis, u64 inner, u32 log) {
  __shared__ u64 sums[256];
  const u32 t = threadIdx.x, width = 1 << log, slices = 256 >> log, col = t & (width - 1), slice = t >> log;
  const u32 blocks = (u32)((inner + width - 1) >> log);
  const u64 outer = blockIdx.x / blocks, i = (u64)(blockIdx.x % blocks) * width + col;
  const u64 each = (axis + gridDim.y - 1) / gridDim.y, first = blockIdx.y * each;
  const u64 end = first + each < axis ? first + each : axis;
  u64 sum = 0;
  if (i < inner) {
    const u64* at = in + outer * axis * inner + i;
#pragma unroll 4
    for (u64 a = first + slice; a < end; a += slices) sum += at[a * inner];
  }
  sums[t] = sum;
  __syncthreads();
#pragma unroll 1
  for (u32 half = 128; half >= width; half >>= 1) {
    if (t < half) sums[t] += sums[t + half];
    __syncthreads();
  }
  if (t < width && i < inner) {
    u64* to = out + outer * inner + i;
    if (gridDim.y > 1) add_to(to, sums[t]);
    else *to = sums[t];
  }
}

struct Pool {
  // Each a number of rows, then of columns. Places are neighbours.
  u32 size[2], window[2], stride[2], pad[2], result[2];
  // By result[0] * result[1], and by result[1].
  LongDivisor by_image, by_row;
};

// out[p, y, x] = the sum of in[p] under the window at (y, x), zeros around it; `count` elements of out. A window as
// large as the image is better a sum along an axis. Any grid; block 256.
KERNEL(sum_pool, 256, 4, const u64* in, u64* out, const __grid_constant__ Pool p, u64 count) {
  for (u64 i = thread_number(); i < count; i += thread_count()) {
    u64 plane = divide(i, p.by_image), inside = i - plane * p.result[0] * p.result[1], y = divide(inside, p.by_row);
    u64 x = inside - y * p.result[1];
    s64 top = (s64)(y * p.stride[0]) - p.pad[0], left = (s64)(x * p.stride[1]) - p.pad[1];
    s64 bottom = top + p.window[0], right = left + p.window[1];
    top = top < 0 ? 0 : top, left = left < 0 ? 0 : left;
    bottom = bottom > p.size[0] ? p.size[0] : bottom, right = right > p.size[1] ? p.size[1] : right;
    u64 sum = 0;
    for (s64 row = top; row < bottom; row++) {
      const u64* at = in + (plane * p.size[0] + row) * p.size[1];
      for (s64 column = left; column < right; column++) sum += at[column];
    }
    out[i] = sum;
  }
}
