#include <math.h>
#include <stdint.h>
#include <string.h>

struct Thread {
    uint32_t at;        // the stop that it goes on from
    uint32_t thread[3]; // its place in the block
    uint32_t lane;      // its place in the warp
    uint32_t turn;      // which of the two numbers was handed out last
    uint32_t handed[2]; // to the warp
    uint32_t stops[2];  // where each was handed out
};

struct Grid {
    uint32_t threads[3], block[3], blocks[3];
    uint32_t shared_size, stride, count;
    uint32_t failed; // a thread has: all end at their next jump
    unsigned char *shared, *parameters;
    unsigned char *all; // the threads of the block, `stride` bytes apart
    uint64_t low, high; // the addresses that were found to be memory last
    void *(*find)(struct Grid *, const struct Thread *, uint64_t address, uint32_t size);
    void (*tell)(struct Grid *, const struct Thread *, const char *);
};

// Addresses on the device differ from those of the machine in this, so that neither is taken for the other.
#define DEVICE 0x4000000000000000ull

#define fault(G, T, words) (G)->tell(G, &(T)->t, words)
#define global(G, T, address, size) found(G, &(T)->t, address, size)
#define shared(G, T, address, size) in_shared(G, &(T)->t, address, size)
#define handed_by(G, T, other) given_by(G, &(T)->t, other)

static inline void *found(struct Grid *G, const struct Thread *t, uint64_t address, uint32_t size)
{
    if (address >= G->low && address <= G->high && G->high - address >= size && address % size == 0)
        return (void *)(address - DEVICE);
    return G->find(G, t, address, size);
}

static inline void *in_shared(struct Grid *G, const struct Thread *t, uint32_t address, uint32_t size)
{
    if (size <= G->shared_size && address <= G->shared_size - size && address % size == 0)
        return G->shared + address;
    static unsigned char nothing[16];
    G->tell(G, t, "an address outside of the shared memory, or not aligned");
    return nothing;
}

// What another thread of the warp has handed out where this one did.
static inline uint32_t given_by(struct Grid *G, const struct Thread *t, uint32_t lane)
{
    uint32_t first = (t->thread[2] * G->threads[1] + t->thread[1]) * G->threads[0] + t->thread[0] - t->lane;
    if (lane < 32 && first + lane < G->count) {
        const struct Thread *other = (const struct Thread *)(G->all + (uint64_t)(first + lane) * G->stride);
        if (other->stops[t->turn] == t->stops[t->turn])
            return other->handed[t->turn];
    }
    G->tell(G, t, "a number is asked of a thread that hands out none");
    return 0;
}

static inline uint32_t bits_of_float(float value) { uint32_t bits; memcpy(&bits, &value, 4); return bits; }
static inline uint64_t bits_of_double(double value) { uint64_t bits; memcpy(&bits, &value, 8); return bits; }
static inline float float_of_bits(uint32_t bits) { float value; memcpy(&value, &bits, 4); return value; }
static inline double double_of_bits(uint64_t bits) { double value; memcpy(&value, &bits, 8); return value; }

static inline float from_bf16(uint16_t bits) { return float_of_bits((uint32_t)bits << 16); }
static inline uint16_t to_bf16(float value)
{
    uint32_t bits = bits_of_float(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return 0x7fff;
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

static inline float saturated(float value) { return value > 0.0f ? (value < 1.0f ? value : 1.0f) : 0.0f; }

// a b + c, rounded towards minus infinity: from the sum in extended precision, which is exact for what exponentials need.
static inline float fma_down(float a, float b, float c)
{
    long double exact = (long double)a * b + c;
    float value = (float)exact;
    return value > exact ? nextafterf(value, -INFINITY) : value;
}

static inline float greater_or_nan(float a, float b) { return a != a || b != b ? NAN : fmaxf(a, b); }
static inline float less_or_nan(float a, float b) { return a != a || b != b ? NAN : fminf(a, b); }

// Numbers beyond an integer's bounds become its bounds, NaN 0 or, of 64 bits, the highest bit.
#define BOUNDED(kind, type, low, high) \
    static inline type bounded_##kind(double value) \
    { \
        return value != value ? (type)(sizeof(type) == 8 ? 1ull << 63 : 0) : value <= (double)(low) ? (low) : value >= (double)(high) ? (high) : (type)value; \
    }
BOUNDED(u8, uint8_t, 0, UINT8_MAX)
BOUNDED(u16, uint16_t, 0, UINT16_MAX)
BOUNDED(s16, int16_t, INT16_MIN, INT16_MAX)
BOUNDED(u32, uint32_t, 0, UINT32_MAX)
BOUNDED(s32, int32_t, INT32_MIN, INT32_MAX)
BOUNDED(u64, uint64_t, 0, UINT64_MAX)
BOUNDED(s64, int64_t, INT64_MIN, INT64_MAX)
