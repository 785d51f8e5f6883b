// Adam for many variables at once, in the order of PyTorch's operations.

// The host's `Variables`: a launch carries the addresses of up to 64 variables as its argument.
#define VARIABLES 64

struct Variables {
    float *value[VARIABLES];
    float *m[VARIABLES];
    float *v[VARIABLES];
    const float *gradient[VARIABLES];
    unsigned count[VARIABLES];
};

// blockIdx.y is the variable.
extern "C" __global__ void adam(
    const Variables variables, float weight1, float beta2, float weight2, float eps, float root_correction,
    float step_size)
{
    unsigned k = blockIdx.y;
    float *value = variables.value[k], *m = variables.m[k], *v = variables.v[k];
    const float *gradient = variables.gradient[k];
    FOR_EACH(i, variables.count[k]) {
        float g = gradient[i];
        float first = m[i] + weight1 * (g - m[i]);
        float second = beta2 * v[i] + weight2 * g * g;
        m[i] = first;
        v[i] = second;
        value[i] -= step_size * first / (sqrtf(second) / root_correction + eps);
    }
}
