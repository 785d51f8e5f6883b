// Greedy selection of far-apart points: `points` (steps, count), so that neighbouring threads read neighbouring numbers.
//
// Every operation is rounded by itself and in the processor's order, so distances have the processor's bits.

// No point.
#define NONE 0xffffffffu
// Distances that are added up by themselves, as the processor does.
#define GROUP 32

// The points of a chunk of vectors, one after the other, of which the first is point `first`.
extern "C" __global__ void points_of_vectors(
    const float *vectors, float *points, unsigned chunk, unsigned first, unsigned count, unsigned length)
{
    FOR_EACH(e, chunk * length) {
        unsigned step = e / chunk, i = e % chunk;
        points[step * count + first + i] = vectors[i * length + step];
    }
}

// The squared distance of point `i` to point `center`, for all threads of the block; `i` may lie behind the last point.
__device__ float squared_distance(const float *points, unsigned count, unsigned length, unsigned i, unsigned center)
{
    __shared__ float of_center[BLOCK];
    float sum = 0.0f;
    for (unsigned from = 0; from < length; from += BLOCK) {
        __syncthreads(); // the earlier ones have been read
        if (from + threadIdx.x < length)
            of_center[threadIdx.x] = points[(from + threadIdx.x) * count + center];
        __syncthreads();
        unsigned steps = min(length - from, BLOCK);
        if (i < count)
#pragma unroll 8
            for (unsigned step = 0; step < steps; step++) {
                float difference = __fsub_rn(points[(from + step) * count + i], of_center[step]);
                sum = __fadd_rn(sum, __fmul_rn(difference, difference));
            }
    }
    return sum;
}

// The mean of the distances of every point to those named.
extern "C" __global__ void mean_distances(
    const float *points, unsigned count, unsigned length, const unsigned *to, unsigned centers, float *distances)
{
    unsigned i = blockIdx.x * BLOCK + threadIdx.x;
    float sum = 0.0f, part = 0.0f;
    for (unsigned k = 0; k < centers; k++) {
        part = __fadd_rn(part, __fsqrt_rn(squared_distance(points, count, length, i, to[k])));
        if (k % GROUP == GROUP - 1 || k + 1 == centers) {
            sum = __fadd_rn(sum, part);
            part = 0.0f;
        }
    }
    if (i < count)
        distances[i] = __fdiv_rn(sum, (float)max(centers, 1u));
}

// The larger distance, the first of equals; those that are no numbers count as less than all.
__device__ void take_farther(float &distance, unsigned &place, float other, unsigned its_place)
{
    if (other > distance || (other == distance && its_place < place)) {
        distance = other;
        place = its_place;
    }
}

// The farthest of the block's threads, in thread 0.
__device__ void farthest_of_block(float &distance, unsigned &place)
{
    __shared__ float distances[BLOCK];
    __shared__ unsigned places[BLOCK];
    distances[threadIdx.x] = distance;
    places[threadIdx.x] = place;
    __syncthreads();
    for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            take_farther(
                distances[threadIdx.x], places[threadIdx.x], distances[threadIdx.x + half],
                places[threadIdx.x + half]);
        __syncthreads();
    }
    distance = distances[0];
    place = places[0];
}

// Distances to the nearest chosen point, now that chosen[pick - 1] is among them, and the farthest point of each block.
extern "C" __global__ void farthest_update(
    const float *points, unsigned count, unsigned length, const unsigned *chosen, unsigned pick, float *distances,
    float *farthest, unsigned *places)
{
    unsigned i = blockIdx.x * BLOCK + threadIdx.x, center = pick ? chosen[pick - 1] : NONE;
    float least = -__int_as_float(0x7f800000), distance = i < count ? distances[i] : least;
    if (center != NONE) {
        float to_center = __fsqrt_rn(squared_distance(points, count, length, i, center));
        distance = i == center ? 0.0f : fminf(distance, to_center);
        if (i < count)
            distances[i] = distance;
        else
            distance = least;
    }
    unsigned place = i;
    distance = distance == distance ? distance : least;
    farthest_of_block(distance, place);
    if (threadIdx.x == 0) {
        farthest[blockIdx.x] = distance;
        places[blockIdx.x] = place;
    }
}

// chosen[pick]: the farthest point of all blocks, or none where that is no distance away. By one block.
extern "C" __global__ void farthest_choose(
    const float *farthest, const unsigned *places, unsigned parts, unsigned *chosen, unsigned pick)
{
    float distance = -__int_as_float(0x7f800000);
    unsigned place = NONE;
    FOR_EACH(part, parts)
        take_farther(distance, place, farthest[part], places[part]);
    farthest_of_block(distance, place);
    if (threadIdx.x == 0)
        chosen[pick] = distance > 0.0f ? place : NONE;
}
