// OpenAI's chat completions as Anthropic's messages. Pure; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/answer_translator.hpp"
#include "gateway/dialect/sse_splitter.hpp"

namespace drover::gateway::dialect {

/// Translates one answer.
class AnthropicAnswer final : public AnswerTranslator {
  public:
    /// `model` is what the client is told that answered.
    explicit AnthropicAnswer(std::string_view model) : model_(model) {}

    std::string whole(std::string_view body) override;
    void put(std::string_view piece, std::string& out) override;
    void finish(std::string& out) override;

  private:
    void take(std::string_view data, std::string& out);
    void begin(const boost::json::value& chunk, std::string& out);
    void take_delta(const boost::json::value& delta, std::string& out);
    void take_call(const boost::json::value& call, std::string& out);
    void open_block(boost::json::object block, std::string& out);
    void close_block(std::string& out);
    void emit_delta(boost::json::object delta, std::string& out);
    void emit(std::string_view name, boost::json::object event, std::string& out);

    std::string model_;
    SseSplitter splitter_;
    bool begun_ = false;
    bool ended_ = false;
    bool open_ = false;            ///< a block is
    std::string open_type_;        ///< "thinking", "text" or "tool_use"
    std::int64_t open_call_ = -1;  ///< its index among the calls
    std::int64_t blocks_ = 0;
    std::string stop_reason_;
    boost::json::object usage_{{"input_tokens", 0}, {"output_tokens", 0}};
};

}  // namespace drover::gateway::dialect
