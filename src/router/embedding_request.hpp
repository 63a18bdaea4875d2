// What a model that embeds is asked, and what its answer says. Pure; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "base/result.hpp"
#include "router/classifier.hpp"

namespace drover::router {

/// Bytes of a prompt that are embedded: most such models take 512 tokens. The same in training and
/// in use, or their vectors would differ.
inline constexpr std::size_t kEmbeddedBytes = 1000;

/// The body of a request to /v1/embeddings for the vectors of `texts`, of long ones that of their
/// beginning and end.
std::string embedding_body(std::string_view model, std::span<const std::string_view> texts);

/// The vectors of such a request's answer, in the order of its texts. `engine_failed`: it is no
/// such answer, or not of `count` vectors of one size.
Result<std::vector<std::vector<float>>> read_embeddings(const boost::json::value& answer,
                                                        std::size_t count);

/// What the heads of `classifier`, which embeds, make of the answer for one text: probabilities
/// alone, to be summed with those of the words. `engine_failed`: it has no vector of their size.
Result<Prediction> read_opinion(const Classifier& classifier, std::string_view answer);

}  // namespace drover::router
