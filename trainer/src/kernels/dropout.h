// Which elements dropout drops.

#pragma once

#include <cstdint>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "elements.h"

// The value, or 0 for an element that is dropped: a hash of its position (MurmurHash3's finaliser)
// is below p·2³².
IN_LOOP float survivor(float value, int64_t index, uint32_t key, uint32_t threshold) {
    uint32_t hash = static_cast<uint32_t>(index) ^ key;
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
    hash = hash ^ (hash >> 16);
    return std::bit_cast<float>(std::bit_cast<uint32_t>(value) & all_ones(hash >= threshold));
}

struct Dropout {
    double p;
    uint64_t key;

    uint32_t threshold() const { return static_cast<uint32_t>(p * 4294967296.0); }
    float scale() const { return static_cast<float>(1.0 / (1.0 - p)); }
    // Another key for every 2³² elements: SplitMix64's finaliser over both.
    uint32_t key_of_block(int64_t start) const {
        uint64_t mixed = key + 0x9e3779b97f4a7c15u * (1 + static_cast<uint64_t>(start >> 32));
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        return static_cast<uint32_t>(mixed ^ (mixed >> 31));
    }
};

inline Dropout checked_dropout(double p, int64_t key) {
    TORCH_CHECK(p >= 0 && p < 1, "dropout of ", p, ", expected 0 up to, but not including, 1");
    return {p, static_cast<uint64_t>(key)};
}

inline void save(torch::autograd::AutogradContext *context, const Dropout &dropout) {
    context->saved_data["p"] = dropout.p;
    context->saved_data["key"] = static_cast<int64_t>(dropout.key);
}

inline Dropout saved(torch::autograd::AutogradContext *context) {
    return {context->saved_data["p"].toDouble(),
            static_cast<uint64_t>(context->saved_data["key"].toInt())};
}

// Where the loop over one row drops elements.
struct RowDropout {
    uint32_t first, key, threshold;
    float scale;

    RowDropout(const Dropout &dropout, int64_t first)
        : first(static_cast<uint32_t>(first)), key(dropout.key_of_block(first)),
          threshold(dropout.threshold()), scale(dropout.scale()) {}

    IN_LOOP float operator()(float value, int64_t column) const {
        return survivor(value * scale, first + column, key, threshold);
    }
};
