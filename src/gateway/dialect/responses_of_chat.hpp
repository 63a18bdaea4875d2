// OpenAI's chat completions as its responses. Pure; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/answer_translator.hpp"
#include "gateway/dialect/responses_answer.hpp"
#include "gateway/dialect/sse_splitter.hpp"

namespace drover::gateway::dialect {

/// Translates one answer to what llama-server would say, and completes that as a ResponsesAnswer.
class ResponsesOfChat final : public AnswerTranslator {
  public:
    /// `request` is the client's; `model` and `now_s` as for ResponsesAnswer.
    ResponsesOfChat(boost::json::object request, std::string_view model, std::int64_t now_s)
        : shape_(std::move(request), model, now_s) {}

    std::string whole(std::string_view body) override;
    void put(std::string_view piece, std::string& out) override;
    void finish(std::string& out) override;

  private:
    void take(std::string_view data);
    void begin(const boost::json::value& chunk);
    void take_delta(const boost::json::value& delta);
    void take_call(const boost::json::value& call);
    void take_text(std::string_view type, std::string_view text);
    void open_item(boost::json::object item);
    void close_item();
    void fail(std::string_view message);
    boost::json::object response(std::string_view status) const;
    void emit(std::string_view type, boost::json::object event);

    ResponsesAnswer shape_;
    SseSplitter splitter_;
    std::string events_;  ///< not yet completed
    std::string id_;
    bool begun_ = false;
    bool ended_ = false;
    boost::json::array output_;  ///< items that are complete
    boost::json::object item_;   ///< the one that grows; empty: none does
    std::string said_;           ///< its text, or its arguments
    std::int64_t call_ = -1;     ///< its index among the calls
    std::string finish_reason_;
    boost::json::value usage_;
};

}  // namespace drover::gateway::dialect
