// The nearest of `count` vectors for each query, exactly.

// A block a query. `values` (queries, count) are squared lengths less twice the products, in f32; two of a query are off
// by less than its bound together. All that are within it of the least are measured in f64, in the processor's order.
extern "C" __global__ void nearest(
    const float *values, const float *queries, const float *vectors, const float *bounds, unsigned count,
    unsigned length, unsigned *indices, float *squares)
{
    __shared__ float leasts[BLOCK];
    __shared__ double distances[BLOCK];
    __shared__ unsigned places[BLOCK];
    const float *own = values + blockIdx.x * count, *query = queries + blockIdx.x * length;
    unsigned thread = threadIdx.x;
    float least = __int_as_float(0x7f800000); // infinity
    for (unsigned m = thread; m < count; m += BLOCK)
        least = fminf(least, own[m]);
    leasts[thread] = least;
    __syncthreads();
    for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
        if (thread < half)
            leasts[thread] = fminf(leasts[thread], leasts[thread + half]);
        __syncthreads();
    }
    float limit = leasts[0] + bounds[blockIdx.x];
    double best = __longlong_as_double(0x7ff0000000000000ll);
    unsigned place = 0;
    for (unsigned m = thread; m < count; m += BLOCK)
        if (own[m] <= limit) {
            const float *vector = vectors + m * length;
            double sum = 0.0;
#pragma unroll 8
            for (unsigned step = 0; step < length; step++) {
                double difference = __dsub_rn((double)query[step], (double)vector[step]);
                sum = __dadd_rn(sum, __dmul_rn(difference, difference));
            }
            if (sum < best) {
                best = sum;
                place = m;
            }
        }
    distances[thread] = best;
    places[thread] = place;
    __syncthreads();
    // The first of equals.
    for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
        if (thread < half) {
            double other = distances[thread + half];
            unsigned its_place = places[thread + half];
            if (other < distances[thread] || (other == distances[thread] && its_place < places[thread])) {
                distances[thread] = other;
                places[thread] = its_place;
            }
        }
        __syncthreads();
    }
    if (thread == 0) {
        indices[blockIdx.x] = places[0];
        squares[blockIdx.x] = (float)distances[0];
    }
}
