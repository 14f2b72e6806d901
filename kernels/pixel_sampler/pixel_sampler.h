// pixel_sampler: images drawn pixel by pixel from a network of masked convolutions, every one in a single call
//
// Naive sampling runs the whole network once a pixel. But a pixel's parameters need only its own column of every feature map,
// and that only the columns before it, which were computed when they were drawn [Ramachandran et al. 2017, Fast Generation for
// Convolutional Autoregressive Models]. So a pixel costs the same in an image of any size, but where the network attends: then
// what it reads, and multiplies, grows with the number of pixels before it.
//
// The network is a program: nodes in the order of their evaluation, each a map [batch, height, width, channels] from maps of
// nodes before it; the last one's are the parameters of the distribution, as likelihood.h has them. A masked_conv of
// JL_VERTICAL_A may read later nodes too: it sees only the rows above, which are complete. So an LSTM's h leads to the row
// below. With v the image's levels:
//   pixels        scale v + offset                                   channels: the image's
//   embedding     data[v[c], :] for each channel c of the image      data [levels, channels / image channels]
//   given         data [batch, height, width, channels]: what is known from the start, as a condition
//   masked_conv   of masked_conv.h: data is the weight, vector may be null, and `other` is the node whose map [.., filters] is
//                 added to the sums, as the vertical stack's to the horizontal one's, or what a residual block passes by
//   add           input + other
//   activation    function(input)
//   lstm_cell     c of lstm_cell.h, of its own row above and of input, the sums of its gates
//   lstm_hidden   h, of the same input and of other, c
//   attention     of causal_attention.h, in raster order: input has queries, keys and values of all heads, [3, heads, dims], which
//                 must not see their own pixel. Keys and values of a whole image are kept
//   concat_elu    elu(input), elu(-input): twice its channels, of one group
//   subsample     every second pixel of both sides of input, (2 i, 2 j), which must be even: half its height and width
//   upsample      every pixel of input four times: twice its height and width
// Maps that meet in a node are of one size, the last one is of the image's.
//
// When a node is computed follows from what it sees (program.h): a vertical stack a row at a time, as soon as the row above is
// drawn; horizontal and raster kernels a pixel at a time; and with G groups of channels, red before green before blue, those of
// their outputs that an earlier group changes once for each group. A map whose sides were halved h times is computed at every
// 2^h-th row, and pixel of it: its pixel (i, j) knows what is before (2^h i, 2^h j), so an upsampled one what is before
// (y - y % 2, x - x % 2), and that is before (y, x).
//
// given        levels [batch, height, width, channels]: at least 0 they are taken, below 0 drawn; null: all are drawn. With all
//              of them given nothing is drawn, and parameters are what the network says of those images. The mixture draws a
//              pixel's channels together: a pixel of which one is not given is drawn whole
// image        levels [batch, height, width, channels]
// parameters   the last node's map [batch, height, width, its channels], or null: with the image, likelihood.h makes
//              log-probabilities of it
// margins      how near the words of a pixel came to an edge of a distribution function [batch, height, width], or null; 1
//              where none was needed
//
// Draws are draw.h's. Word of a value: draw_word(element, 0), element = its number in [.., height, width, channels] counted from
// image number 0, which is first_image images before the batch; of the mixture's component draw_word(pixel, 1), counted alike.
// So image n is the same in a batch of any size, and the same as one that naive sampling draws, by whole forward passes, with
// the same words: but sums here have an order of their own, and a draw within rounding of an edge may fall to its other side.
//
// overwritten     image, parameters, margins
// nodes           in host memory on every table; their arrays, as all others, in the table's
// workspace       pixel_sampler_workspace(..) bytes, of any content: rows of every map that are still needed, and the weights in
//                 another order
// no distribution where the parameters are none (draw.h) the level is -1, of which pixels and embedding make NaN: so is what
//                 sees it. The CPU refuses given levels that there are not; on CUDA, which cannot know without waiting, they
//                 are such levels of -1
// precision       f32
// deterministic   yes, whatever the number of threads
// FLOPs           a masked_conv's, and attention's, once: for each image as much as one forward pass
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// 0 for a program that is refused.
size_t pixel_sampler_workspace(const jl_pixel_sampler* shape, const jl_sampler_node* nodes,
                               int32_t node_count);
jl_status pixel_sampler(const jl_pixel_sampler* shape, const jl_sampler_node* nodes, int32_t node_count,
                        const int32_t* given, const jl_random* random, int32_t* image, float* parameters,
                        float* margins, jl_workspace workspace, jl_stream stream);

}  // namespace jlatent::JL_TABLE
