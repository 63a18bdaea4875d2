// Which human language a text is written in. Pure; any thread.
#pragma once

#include <span>
#include <string_view>

namespace drover {

/// The languages that can be recognised, by their ISO 639-1 codes, sorted.
std::span<const std::string_view> known_languages();

/// The language of `text` by its code; empty when it is not certain enough, as for code, numbers
/// and single words. Scripts that one language (or two, told apart by their letters) uses decide by
/// themselves; for Latin and Cyrillic letters the most frequent small words do (Grefenstette 1995,
/// "Comparing two language identification schemes"). Linear in the text.
std::string_view language_of(std::string_view text);

}  // namespace drover
