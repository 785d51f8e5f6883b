// Products of vectors with vectors, both one after the other: a block makes TILE x TILE of them, a thread EACH x EACH.
//
// Each sum runs over the steps in order, rounded once a step, whatever the other rows and columns are: the processor's
// bits where that has fused instructions.

#define TILE 64
#define DEPTH 16
#define EACH 4

// result[row * stride + column]: the product of row `row` of `a` and row `column` of `b`; with `squares`, those of the
// columns, less twice the product.
extern "C" __global__ void products(
    const float *__restrict__ a, const float *__restrict__ b, const float *__restrict__ squares,
    float *__restrict__ result, unsigned rows, unsigned columns, unsigned length, unsigned stride)
{
    // A few numbers of margin spread what is written over the banks, and keep four neighbours in 16 bytes.
    __shared__ __align__(16) float of_a[DEPTH][TILE + EACH], of_b[DEPTH][TILE + EACH];
    unsigned top = blockIdx.y * TILE, left = blockIdx.x * TILE;
    unsigned step = threadIdx.x % DEPTH, place = threadIdx.x / DEPTH;
    unsigned row = threadIdx.x / (TILE / EACH) * EACH, column = threadIdx.x % (TILE / EACH) * EACH;
    float sums[EACH][EACH] = {};
    for (unsigned from = 0; from < length; from += DEPTH) {
        bool inside = from + step < length;
        for (unsigned k = place; k < TILE; k += BLOCK / DEPTH) {
            of_a[step][k] = inside && top + k < rows ? a[(top + k) * length + from + step] : 0.0f;
            of_b[step][k] = inside && left + k < columns ? b[(left + k) * length + from + step] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (unsigned d = 0; d < DEPTH; d++) {
            float4 x = *(const float4 *)&of_a[d][row], y = *(const float4 *)&of_b[d][column];
            float down[EACH] = {x.x, x.y, x.z, x.w}, across[EACH] = {y.x, y.y, y.z, y.w};
#pragma unroll
            for (int i = 0; i < EACH; i++)
#pragma unroll
                for (int j = 0; j < EACH; j++)
                    sums[i][j] = fmaf(down[i], across[j], sums[i][j]);
        }
        __syncthreads();
    }
    for (unsigned i = 0; i < EACH && top + row + i < rows; i++)
        for (unsigned j = 0; j < EACH && left + column + j < columns; j++) {
            unsigned at = left + column + j;
            result[(top + row + i) * stride + at] = squares ? squares[at] - 2.0f * sums[i][j] : sums[i][j];
        }
}
