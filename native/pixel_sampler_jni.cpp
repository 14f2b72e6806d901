// org.jlatent.internal.PixelSamplerKernels: casts, nothing else.
#include "jni_support.h"

namespace {

static_assert(sizeof(jl_sampler_node) == 72, "PixelSamplerKernels.Nodes writes 72 bytes a node");

jl_pixel_sampler sampler_shape(jlong batch, jlong height, jlong width, jlong channels, jlong first_image,
                               jint levels, jint groups, jint distribution, jint top_k, jfloat temperature,
                               jint site) {
    return {batch,
            height,
            width,
            channels,
            first_image,
            levels,
            groups,
            distribution,
            top_k,
            temperature,
            static_cast<uint32_t>(site)};
}

}  // namespace

JL_JNI(jlong, PixelSamplerKernels, workspace0)
(JNIEnv*, jclass, jlong table, jlong batch, jlong height, jlong width, jlong channels, jlong first_image,
 jint levels, jint groups, jint distribution, jint top_k, jfloat temperature, jint site, jlong nodes,
 jint node_count) {
    const jl_pixel_sampler shape = sampler_shape(batch, height, width, channels, first_image, levels, groups,
                                                 distribution, top_k, temperature, site);
    return static_cast<jlong>(
        kernels(table)->pixel_sampler_workspace(&shape, pointer<const jl_sampler_node>(nodes), node_count));
}

JL_JNI(jint, PixelSamplerKernels, sample0)
(JNIEnv*, jclass, jlong table, jlong batch, jlong height, jlong width, jlong channels, jlong first_image,
 jint levels, jint groups, jint distribution, jint top_k, jfloat temperature, jint site, jlong nodes,
 jint node_count, jlong given, jlong random, jlong image, jlong parameters, jlong margins, jlong workspace,
 jlong workspace_bytes, jlong stream) {
    const jl_pixel_sampler shape = sampler_shape(batch, height, width, channels, first_image, levels, groups,
                                                 distribution, top_k, temperature, site);
    return kernels(table)->pixel_sampler(
        &shape, pointer<const jl_sampler_node>(nodes), node_count, pointer<const int32_t>(given),
        pointer<const jl_random>(random), pointer<int32_t>(image), pointer<float>(parameters),
        pointer<float>(margins), workspace_of(workspace, workspace_bytes), stream_of(stream));
}
