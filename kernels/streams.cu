// Pseudorandom streams: AES-128 in counter mode, addressed by element.
//
// Block n of stream id is the encryption of le64(n) || le32(id) || le32(0); the stream is the blocks' bytes in order.
// An element takes 8, 16, 32 or 64 of its bits, the fewest that hold `bits` of them, and is reduced to its low `bits`;
// a word of planes (bits = 1) takes 64 and keeps them.
//
// Rounds are lookups in shared memory: entry x has, for each lane of a warp, a word in the lane's own bank, so that no
// two lanes ever wait for each other, whatever is secret: time does not depend on data. A word is S(x) times the first
// column of MixColumns; a second one, of the second column, is 128 bytes behind, so that one rotation serves two
// lookups, and the address of either is one byte permutation of the state and the lane's offset.
//
// A block of 16 bytes takes 160 lookups, 11 loads of round keys, and on sm_90 208 byte permutations and 121 logic
// operations.
#include "device.h"

struct StreamUse {
  u64* out;
  // First element (word of planes), and how many.
  u64 start, count;
  // Units of all uses before this one, see `streams`.
  u64 unit;
  u32 id, bits;
  // Which of the keys.
  u32 key, unused;
};

enum : u32 { STREAM_THREADS = 512, STREAM_WARPS = STREAM_THREADS / 32, STREAM_KEYS = 4, STREAM_USES = 512 };
// In dynamic shared memory the table comes first, then 512 bytes for each warp to hand its blocks round.
enum : u32 { STREAM_TABLE = 65536 };

// FIPS 197, figure 7. Read by thread number, never by data.
__device__ const u8 S_BOX[256] = {
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76, 0xca, 0x82,
    0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0, 0xb7, 0xfd, 0x93, 0x26,
    0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15, 0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96,
    0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2, 0x75, 0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0,
    0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84, 0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb,
    0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf, 0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f,
    0x50, 0x3c, 0x9f, 0xa8, 0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff,
    0xf3, 0xd2, 0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73,
    0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb, 0xe0, 0x32,
    0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79, 0xe7, 0xc8, 0x37, 0x6d,
    0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08, 0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6,
    0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a, 0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e,
    0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e, 0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e,
    0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf, 0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f,
    0xb0, 0x54, 0xbb, 0x16};

// Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
DEV u32 doubled(u32 a) { return (a << 1 ^ (a >> 7) * 0x11b) & 0xff; }

struct Aes {
  const u8* table;
  u32 lane4;

  // Byte `byte` of a column looked up in the first or second column of MixColumns.
  template <u32 BYTE, u32 SECOND> DEV u32 look(u32 column) const {
    return *(const u32*)(table + prmt(column, lane4, 0x5504 | BYTE << 4) + 128 * SECOND);
  }
  // A column of a round from the columns that ShiftRows takes its bytes from.
  DEV u32 round(u32 a, u32 b, u32 c, u32 d, u32 key) const {
    u32 low = look<0, 0>(a) ^ look<1, 1>(b), high = look<2, 0>(c) ^ look<3, 1>(d);
    return low ^ prmt(high, high, 0x1032) ^ key;
  }
  // The last round has no MixColumns: S(x) itself is byte 1 of the first word.
  DEV u32 last(u32 a, u32 b, u32 c, u32 d, u32 key) const {
    u32 low = prmt(look<0, 0>(a), look<1, 0>(b), 0x0051), high = prmt(look<2, 0>(c), look<3, 0>(d), 0x0051);
    return prmt(low, high, 0x5410) ^ key;
  }
  DEV Quad encrypt(Quad s, const Quad* keys) const {
    Quad k = keys[0];
    s = {s.x ^ k.x, s.y ^ k.y, s.z ^ k.z, s.w ^ k.w};
#pragma unroll
    for (u32 r = 1; r < 10; r++) {
      k = keys[r];
      s = {round(s.x, s.y, s.z, s.w, k.x), round(s.y, s.z, s.w, s.x, k.y), round(s.z, s.w, s.x, s.y, k.z),
           round(s.w, s.x, s.y, s.z, k.w)};
    }
    k = keys[10];
    return {last(s.x, s.y, s.z, s.w, k.x), last(s.y, s.z, s.w, s.x, k.y), last(s.z, s.w, s.x, s.y, k.z),
            last(s.w, s.x, s.y, s.z, k.w)};
  }
};

// The elements that a warp's 32 blocks hold, lane by lane next to each other: element number `first` is the first of
// them.
template <class Element> DEV void hand_out(const StreamUse& use, const u8* blocks, u64 first, u32 lane) {
  const u64 mask = use.bits == 1 ? ~0ull : low_bits(use.bits);
  // May wrap for elements before the start, which then are not below the count.
  const u64 place = first + lane - use.start;
#pragma unroll
  for (u32 i = 0; i < 16 / sizeof(Element); i++) {
    u64 value = ((const Element*)blocks)[i * 32 + lane];
    if (place + i * 32 < use.count) use.out[place + i * 32] = value & mask;
  }
}

// Elements that a block of keystream holds, as a power of two.
DEV u32 elements_log(u32 bits) { return bits == 1 || bits > 32 ? 1 : bits > 16 ? 2 : bits > 8 ? 3 : 4; }

extern __shared__ __align__(16) u8 stream_room[];

// Elements of several streams. `keys`, at a multiple of 16 bytes, has 11 round keys of 16 bytes for each key, at most 4
// keys (FIPS 197's expansion, byte by byte in order). No use has 0 elements. A use's blocks, from the one with its
// first element to the one with its last, are counted in units of `unit` blocks, a multiple of 32; use j's units are
// numbers uses[j].unit.. of the `units` of all.
//
// Grid: any number of blocks; their warps go through the units. Block 512. Dynamic shared memory: 73,728 bytes.
KERNEL(streams, 512, 2, const Quad* keys, u32 key_count, const StreamUse* uses, u32 use_count, u64 units, u32 unit) {
  __shared__ Quad round_keys[STREAM_KEYS * 11];
  // First units of uses, of each `each`-th if there are many: what a warp looks through is near.
  __shared__ u64 firsts[STREAM_USES];
  const u32 t = threadIdx.x, lane = t & 31;
  const u32 each = (use_count + STREAM_USES - 1) / STREAM_USES, near = (use_count + each - 1) / each;
  if (t < key_count * 11) round_keys[t] = keys[t];
  if (t < near) firsts[t] = uses[t * each].unit;
  {
    // A thread fills half of an entry: 32 lanes' words of one column. Where it begins is another bank for its neighbours.
    u32 s = S_BOX[t >> 1], twice = doubled(s), thrice = twice ^ s;
    u32 first = twice | s << 8 | s << 16 | thrice << 24;
    u32 word = t & 1 ? first << 8 | first >> 24 : first;
    Quad four = {word, word, word, word};
#pragma unroll
    for (u32 i = 0; i < 8; i++) *(Quad*)(stream_room + t * 128 + ((i + t) & 7) * 16) = four;
  }
  __syncthreads();
  const Aes aes = {stream_room, lane * 4};
  u8* mine = stream_room + STREAM_TABLE + (t >> 5) * 512;
  u32 at = 0;
  const u64 step = (u64)gridDim.x * STREAM_WARPS;
  for (u64 number = (u64)(t >> 5) * gridDim.x + blockIdx.x; number < units; number += step) {
    // The use that the unit belongs to: numbers only grow.
    u32 low = at / each;
    for (u32 high = near; high - low > 1;) {
      u32 middle = (low + high) / 2;
      if (firsts[middle] <= number) low = middle;
      else high = middle;
    }
    at = max(at, low * each);
    while (each > 1 && at + 1 < use_count && uses[at + 1].unit <= number) at++;
    const StreamUse use = uses[at];
    const u32 log = elements_log(use.bits);
    const u64 first_block = use.start >> log, blocks = ((use.start + use.count - 1) >> log) + 1 - first_block;
    for (u32 inside = 0; inside < unit; inside += 32) {
      u64 block = (number - use.unit) * unit + inside;
      if (block >= blocks) break;
      block += first_block;
      u64 n = block + lane;
      Quad out = aes.encrypt({(u32)n, (u32)(n >> 32), use.id, 0}, round_keys + use.key * 11);
      *(Quad*)(mine + lane * 16) = out;
      __syncwarp();
      switch (log) {
        case 1: hand_out<u64>(use, mine, block << 1, lane); break;
        case 2: hand_out<u32>(use, mine, block << 2, lane); break;
        case 3: hand_out<u16>(use, mine, block << 3, lane); break;
        default: hand_out<u8>(use, mine, block << 4, lane);
      }
      __syncwarp();
    }
  }
}
