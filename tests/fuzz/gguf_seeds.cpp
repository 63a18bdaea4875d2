// Writes small valid GGUF headers into a directory, for the fuzzer to start from.

#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "models/testing/gguf_writer.hpp"

namespace {

void write(const std::filesystem::path& file, const drover::models::testing::GgufWriter& writer) {
    const auto bytes = writer.header();
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

int main(int argc, char** argv) {
    using drover::models::testing::tiny_bert;
    using drover::models::testing::tiny_llama;
    if (argc != 2) {
        std::cerr << "usage: gguf_seeds DIRECTORY\n";
        return 2;
    }
    const std::filesystem::path directory = argv[1];
    std::filesystem::create_directories(directory);
    write(directory / "llama", tiny_llama());
    write(directory / "bert", tiny_bert());
    auto hybrid = tiny_llama();
    hybrid.text("general.type", "model").number("general.alignment", 64);
    write(directory / "aligned", hybrid);
    return 0;
}
