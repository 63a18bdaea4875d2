#include "gateway/multipart.hpp"

#include <gtest/gtest.h>

namespace drover::gateway {
namespace {

constexpr std::string_view kType = "multipart/form-data; boundary=\"b42\"";

std::string part(const std::string& disposition, const std::string& value) {
    return "--b42\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + value + "\r\n";
}

/// A sound whose bytes look like a field, then the model.
std::string form(const std::string& model) {
    return part("name=\"file\"; filename=\"a.wav\"", std::string("RIFF\0--b4 name=\"model\"", 22)) +
           part("name=\"model\"", model) + part("name=\"language\"", "de") + "--b42--\r\n";
}

TEST(Multipart, HasFieldsByName) {
    EXPECT_EQ(*multipart_field(kType, form("whisper"), "model"), "whisper");
    EXPECT_EQ(*multipart_field(kType, form("whisper"), "language"), "de");
    EXPECT_EQ(*multipart_field(kType, form("whisper"), "prompt"), "");
}

TEST(Multipart, ChangesNothingButTheField) {
    EXPECT_EQ(*with_multipart_field(kType, form("whisper"), "model", "org/Whisper-1"),
              form("org/Whisper-1"));
    EXPECT_EQ(*with_multipart_field(kType, form(""), "model", "m"), form("m"));
}

TEST(Multipart, GetsAFieldThatItDoesNotHave) {
    const std::string whole = part("name=\"file\"", "x") + "--b42--\r\n";
    EXPECT_EQ(*with_multipart_field(kType, whole, "model", "m"),
              part("name=\"model\"", "m") + whole);
}

TEST(Multipart, IsRefusedWhereItIsNone) {
    EXPECT_FALSE(with_multipart_field("application/json", "{}", "model", "m").ok());
    const std::string cut = "--b42\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisp";
    EXPECT_FALSE(multipart_field(kType, cut, "model").ok());
    EXPECT_FALSE(with_multipart_field(kType, cut, "model", "m").ok());
}

}  // namespace
}  // namespace drover::gateway
