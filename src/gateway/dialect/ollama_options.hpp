// Ollama's sampling options as llama-server has them. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>

#include <boost/json/object.hpp>

#include "base/error.hpp"

namespace drover::gateway::dialect {

/// Puts what the member `options` of `request` says into the engine's request `body`; what it does
/// not say gets Ollama's defaults, which are not the engine's. Options of a runner (num_gpu,
/// num_thread, ...; for num_ctx see ollama_context) belong to the instance, which clients share:
/// their types are checked and they change nothing. `problem`: see FieldReader.
void put_ollama_options(const boost::json::object& request,
                        boost::json::object& body,
                        std::optional<Error>& problem);

/// Tokens of context that the member `options` of `request` asks for, "num_ctx"; 0: none.
std::uint32_t ollama_context(const boost::json::object& request);

/// Puts `format` ("json" or a JSON schema) into `body` as `response_format` for chats, as
/// `json_schema` otherwise.
void put_ollama_format(const boost::json::object& request,
                       bool chat,
                       boost::json::object& body,
                       std::optional<Error>& problem);

/// Puts `think` (a bool, or how hard) into `body`. Returns whether thinking was asked for.
bool put_ollama_think(const boost::json::object& request,
                      boost::json::object& body,
                      std::optional<Error>& problem);

/// Puts `logprobs` and `top_logprobs` into `body`.
void put_ollama_logprobs(const boost::json::object& request,
                         bool chat,
                         boost::json::object& body,
                         std::optional<Error>& problem);

}  // namespace drover::gateway::dialect
