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
// sm_90, of the loop of one block (16 bytes) a lane, without what the results take: see kernels/README.md.
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

enum : u32 { STREAM_THREADS = 512, STREAM_KEYS = 4 };
// In dynamic shared memory the table comes first, then 512 bytes for each warp to hand its blocks round.
enum : u32 { STREAM_TABLE = 65536 };

// Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, without branches.
DEV u32 gf_double(u32 a) { return (a << 1 ^ (a >> 7) * 0x11b) & 0xff; }
DEV u32 gf_times(u32 a, u32 b) {
  u32 product = 0;
#pragma unroll
  for (u32 i = 0; i < 8; i++) {
    product ^= a * (b >> i & 1);
    a = gf_double(a);
  }
  return product;
}
// The S-box: the inverse x^254, then an affine map.
DEV u32 s_box(u32 x) {
  u32 power = x, inverse = 1;
#pragma unroll 1
  for (u32 i = 1; i < 8; i++) {
    power = gf_times(power, power);
    inverse = gf_times(inverse, power);
  }
  u32 twice = inverse | inverse << 8;
  return (inverse ^ twice >> 4 ^ twice >> 5 ^ twice >> 6 ^ twice >> 7 ^ 0x63) & 0xff;
}

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

// Elements of several streams. `keys` has 11 round keys of 16 bytes for each key, at most 4 keys (FIPS 197's expansion,
// byte by byte in order). No use has 0 elements. A use's blocks, from the one with its first element to the one with
// its last, are counted in units of `unit` blocks, a multiple of 32; use j's units are numbers uses[j].unit.. of the
// `units` of all.
//
// Grid: any number of blocks; they go through the units. Block 512. Dynamic shared memory: 73,728 bytes.
KERNEL(streams, 512, 2, const Quad* keys, u32 key_count, const StreamUse* uses, u32 use_count, u64 units, u32 unit) {
  __shared__ Quad round_keys[STREAM_KEYS * 11];
  const u32 t = threadIdx.x, lane = t & 31;
  if (t < key_count * 11) round_keys[t] = keys[t];
  {
    // A thread fills half of an entry: 32 lanes' words of one column.
    u32 s = s_box(t >> 1), twice = gf_double(s), thrice = twice ^ s;
    u32 first = twice | s << 8 | s << 16 | thrice << 24;
    u32 word = t & 1 ? first << 8 | first >> 24 : first;
    Quad four = {word, word, word, word};
#pragma unroll
    for (u32 i = 0; i < 8; i++) *(Quad*)(stream_room + t * 128 + i * 16) = four;
  }
  __syncthreads();
  const Aes aes = {stream_room, lane * 4};
  u8* mine = stream_room + STREAM_TABLE + (t >> 5) * 512;
  u32 at = 0;
  for (u64 number = blockIdx.x; number < units; number += gridDim.x) {
    // The use that the unit belongs to: numbers only grow.
    while (at + 1 < use_count && uses[at + 1].unit <= number) at++;
    const StreamUse use = uses[at];
    const u32 log = elements_log(use.bits);
    const u64 first_block = use.start >> log, blocks = ((use.start + use.count - 1) >> log) + 1 - first_block;
    for (u32 inside = t & ~31u; inside < unit; inside += STREAM_THREADS) {
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
