// What the fake engine says: canned, but shaped like llama-server's answers.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "behaviour.hpp"

namespace drover::fake {

/// What /v1/models and /props tell.
struct ModelInfo {
    std::string alias = "fake";
    std::string path;
    int context = 4096;
    int parallel = 1;
    std::string slot_path;            ///< where slots are saved
    std::string key;                  ///< requests must carry it; empty: they need not
    std::vector<std::string> served;  ///< what requests may call it; empty: anything
    bool vllm_sleep = false;          ///< it has vLLM's sleep mode
    bool vllm_tools = false;          ///< it was told how to read calls of tools
};

enum class Kind {
    chat,
    completion
};

/// What a generation request asks for.
struct GenerationRequest {
    Kind kind = Kind::chat;
    bool stream = false;
    bool include_usage = false;
    bool logprobs = false;
    bool contradicts = false;  ///< `logprobs` of a stream with tools, which llama-server refuses
    int tokens = 16;
};

/// `vllm`: members that only llama-server knows are passed over.
GenerationRequest read_generation(Kind kind,
                                  std::string_view body,
                                  const Behaviour& behaviour,
                                  bool vllm);

class Answers {
  public:
    explicit Answers(ModelInfo model);

    /// The body of an answer that is no stream.
    std::string generation(const GenerationRequest& request, const Behaviour& behaviour) const;

    /// Appends the whole answer, head included. Fast: it is made once for each number of tokens.
    void append_generation(std::string& out,
                           const GenerationRequest& request,
                           const Behaviour& behaviour);

    /// The events of a stream, each as one chunk of the body.
    void append_first(std::string& out, Kind kind) const;
    void append_token(std::string& out,
                      const GenerationRequest& request,
                      int index,
                      const Behaviour& behaviour) const;
    void append_last(std::string& out, const GenerationRequest& request) const;

    std::string embeddings(std::string_view body, const Behaviour& behaviour) const;
    std::string rerank(std::string_view body) const;
    std::string score(std::string_view body) const;
    std::string models() const;
    std::string props(bool sleeping) const;
    std::string tokenize(std::string_view text) const;
    std::string slots(const Behaviour& behaviour) const;
    /// Saves or restores: writes a file of the real one's form, or looks whether it is there.
    std::string slot_action(std::string_view path,
                            std::string_view query,
                            std::string_view body,
                            const Behaviour& behaviour) const;

  private:
    std::string frame(Kind kind, std::string_view choice, bool chunk) const;

    ModelInfo model_;
    std::string tail_;  ///< the fields that every answer ends with
    std::map<std::pair<Kind, int>, std::string> made_;
};

/// What vLLM says of its batch, in Prometheus' format.
std::string vllm_metrics(const Behaviour& behaviour);
std::string llama_cpp_metrics(const Behaviour& behaviour);

/// An error in llama-server's shape.
std::string error_body(int status, std::string_view message, std::string_view type);

}  // namespace drover::fake
