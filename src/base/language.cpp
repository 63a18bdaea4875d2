#include "base/language.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace drover {

namespace {

/// The most frequent small words of a language, each followed by a space.
struct SmallWords {
    std::string_view code;
    std::string_view words;
};

constexpr std::array<SmallWords, 16> kSmallWords{{
    {"cs",
     " a je o mi se na v že to s z do ale jsem jako by pro co si tak jsou jeho od nebo když jak "},
    {"da", " og i at det er en til på den med for ikke der af som de et jeg har hvad kan du vil "},
    {"de",
     " der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch "
     "es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über "
     "ich wir mir was bitte kann du "},
    {"en",
     " the of and to in a is that for it as was with be by on not he his but at are this "
     "have from or had an they which you were all we can has there been if will would what "
     "how me my your do does please write i "},
    {"es",
     " de la que el en y a los se del las un por con no una su para es al lo como más pero "
     "sus le o este ha me si sin sobre qué muy cómo cuál mi tu puedes "},
    {"fi",
     " ja on ei että se hän oli en mutta kun niin joka ovat mitä minä sen ole kuin tai myös "},
    {"fr",
     " de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce "
     "il sont la avec ou son mais comme je nous vous elle cette on à moi quel quelle "},
    {"id",
     " yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena ada "
     "apa bagaimana atau adalah bisa "},
    {"it",
     " di e che la il un a per è in una mi sono ho non ma lo ha le si ti i con cosa se io "
     "come da ci no questo qui del della dei delle gli al perché anche puoi "},
    {"nl",
     " de en het van ik te dat die in een hij niet is op aan met als voor er maar om hem dan "
     "zou of wat mijn men dit zo door over ze zich bij ook tot je hoe kan naar zijn "},
    {"pl",
     " i w na z się nie do to że jest o jak a po co tak za od jego ale czy przez dla był ma "
     "są oraz mi jaki jakie "},
    {"pt",
     " de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi "
     "ao ele das tem à seu sua ou ser quando muito há nos já está eu também me qual você "},
    {"ro", " și de la în a cu pe o nu un din este că pentru sunt mai ce care să se fi au ca cum "},
    {"sv",
     " och i att det som en på är av för med till den har de inte om ett men var jag sig "
     "från vi så kan när vad du hur "},
    {"tr",
     " bir ve bu için de da ne mi ile olarak çok daha gibi var o en ben sen nasıl olan kadar "
     "mı değil ama "},
    {"vi",
     " là và của có không cho một được trong những các với người tôi này để đã khi như thế "
     "bạn đó nào hãy "},
}};

constexpr std::array<std::string_view, 33> kLanguages{
    "ar", "bg", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi",
    "fr", "he", "hi", "hy", "id", "it", "ja", "ka", "ko", "nl", "pl",
    "pt", "ro", "ru", "sv", "ta", "te", "th", "tr", "uk", "vi", "zh"};

/// Letters in a row that one script has, and the language that it means.
struct Block {
    std::uint32_t first;
    std::uint32_t last;
    std::string_view code;
};

constexpr std::string_view kLatin = "latin";
constexpr std::string_view kCyrillic = "cyrillic";
constexpr std::string_view kArabic = "arabic";
constexpr std::string_view kHan = "han";

constexpr std::array<Block, 22> kBlocks{{
    {'A', 'Z', kLatin},       {'a', 'z', kLatin},          {0x00C0, 0x024F, kLatin},
    {0x0370, 0x03FF, "el"},   {0x0400, 0x04FF, kCyrillic}, {0x0531, 0x058F, "hy"},
    {0x0591, 0x05F4, "he"},   {0x0620, 0x06D3, kArabic},   {0x0900, 0x0963, "hi"},
    {0x0980, 0x09FF, "bn"},   {0x0B80, 0x0BFF, "ta"},      {0x0C00, 0x0C7F, "te"},
    {0x0E01, 0x0E4E, "th"},   {0x10A0, 0x10FF, "ka"},      {0x1100, 0x11FF, "ko"},
    {0x1E00, 0x1EFF, kLatin}, {0x1F00, 0x1FFF, "el"},      {0x3041, 0x30FF, "ja"},
    {0x3400, 0x4DBF, kHan},   {0x4E00, 0x9FFF, kHan},      {0xAC00, 0xD7A3, "ko"},
    {0x20000, 0x2FA1F, kHan},
}};

/// Takes the next character off `text`; 0xFFFD for a byte that is no valid beginning of one.
std::uint32_t next_character(std::string_view& text) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead < 0x80 || lead < 0xC2 || lead > 0xF4 || text.size() < length) {
        text.remove_prefix(1);
        return lead < 0x80 ? lead : 0xFFFD;
    }
    std::uint32_t character = lead & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xC0U) != 0x80U) {
            text.remove_prefix(i);
            return 0xFFFD;
        }
        character = character << 6U | (next & 0x3FU);
    }
    text.remove_prefix(length);
    return character;
}

void append_utf8(std::string& word, std::uint32_t character) {
    if (character < 0x80) {
        word += static_cast<char>(character);
    } else if (character < 0x800) {
        word += static_cast<char>(0xC0U | character >> 6U);
        word += static_cast<char>(0x80U | (character & 0x3FU));
    } else {
        word += static_cast<char>(0xE0U | character >> 12U);
        word += static_cast<char>(0x80U | (character >> 6U & 0x3FU));
        word += static_cast<char>(0x80U | (character & 0x3FU));
    }
}

/// As far as the lists above need it: ASCII, Latin-1, and the blocks where capital and small
/// letters alternate.
std::uint32_t lower(std::uint32_t c) {
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7)) {
        return c + 0x20;
    }
    const bool odd_is_small = (c >= 0x100 && c <= 0x137) || (c >= 0x1E00 && c <= 0x1EFF);
    return odd_is_small ? c | 1U : c == 0x218 || c == 0x21A ? c + 1 : c;
}

/// Which languages have a small word: one bit for each of kSmallWords.
const std::unordered_map<std::string_view, std::uint32_t>& small_words() {
    static const auto kTable = [] {
        std::unordered_map<std::string_view, std::uint32_t> table;
        for (std::size_t i = 0; i < kSmallWords.size(); ++i) {
            std::string_view words = kSmallWords[i].words.substr(1);
            while (!words.empty()) {
                const std::size_t end = words.find(' ');
                table[words.substr(0, end)] |= 1U << i;
                words.remove_prefix(end + 1);
            }
        }
        return table;
    }();
    return kTable;
}

/// What one pass over a text counts.
class Census {
  public:
    explicit Census(std::string_view text) {
        while (!text.empty()) {
            take(next_character(text));
        }
        end_word();
    }

    std::string_view verdict() const {
        const std::size_t kana = letters_of("ja");
        const std::string_view script = main_script();
        if (script == kLatin) {
            return by_small_words();
        }
        if (script == kCyrillic) {
            return ukrainian_ > russian_ ? "uk" : russian_ > 0 ? "ru" : hard_signs_ > 0 ? "bg" : "";
        }
        if (script == kArabic) {
            return persian_ > 0 ? "fa" : "ar";
        }
        if (script == kHan || script == "ja") {
            // Chinese is written without kana; Japanese never for long. "zh" is not claimed for a
            // few signs that both have.
            return kana > 0 ? "ja" : letters_of(kHan) >= kHanMin ? "zh" : "";
        }
        return script;
    }

  private:
    static constexpr std::size_t kHanMin = 2;
    /// Of a text's words so many are small words of its language, at least; usual is a half.
    static constexpr std::size_t kWordsForOneHit = 7;
    static constexpr std::size_t kHitsMin = 2;

    void take(std::uint32_t character) {
        const auto block = std::find_if(kBlocks.begin(), kBlocks.end(), [&](const Block& one) {
            return character >= one.first && character <= one.last;
        });
        if (block == kBlocks.end() || character == 0xD7 || character == 0xF7) {
            return end_word();
        }
        ++letters_[static_cast<std::size_t>(block - kBlocks.begin())];
        if (block->code == kLatin) {
            append_utf8(word_, lower(character));
        } else if (block->code == kCyrillic) {
            count_cyrillic(character);
        } else if (block->code == kArabic) {
            // Letters that Persian added to Arabic's: pe, che, zhe, gaf, and its own yeh.
            persian_ += character == 0x67E || character == 0x686 || character == 0x698 ||
                        character == 0x6AF || character == 0x6CC;
        }
    }

    void count_cyrillic(std::uint32_t character) {
        // i, yi, ye, ghe with upturn: Ukrainian. yeru, e, yo: Russian. Bulgarian has none of them,
        // and the hard sign as a vowel.
        const std::uint32_t c =
            character < 0x430 && character >= 0x410 ? character + 0x20 : character;
        ukrainian_ += c == 0x456 || c == 0x457 || c == 0x454 || c == 0x491 || c == 0x406 ||
                      c == 0x407 || c == 0x404;
        russian_ += c == 0x44B || c == 0x44D || c == 0x451;
        hard_signs_ += c == 0x44A;
    }

    void end_word() {
        if (word_.empty()) {
            return;
        }
        ++words_;
        if (const auto found = small_words().find(word_); found != small_words().end()) {
            for (std::size_t i = 0; i < kSmallWords.size(); ++i) {
                hits_[i] += found->second >> i & 1U;
            }
        }
        word_.clear();
    }

    std::string_view by_small_words() const {
        const auto best = std::max_element(hits_.begin(), hits_.end());
        const bool tie = std::count(hits_.begin(), hits_.end(), *best) > 1;
        if (tie || *best < kHitsMin || *best * kWordsForOneHit < words_) {
            return {};
        }
        return kSmallWords[static_cast<std::size_t>(best - hits_.begin())].code;
    }

    std::size_t letters_of(std::string_view code) const {
        std::size_t count = 0;
        for (std::size_t i = 0; i < kBlocks.size(); ++i) {
            count += kBlocks[i].code == code ? letters_[i] : 0;
        }
        return count;
    }

    /// A sign of Chinese or Japanese says about as much as three letters.
    std::string_view main_script() const {
        constexpr std::size_t kSignWeight = 3;
        std::string_view main;
        std::size_t most = 0;
        for (const Block& block : kBlocks) {
            const bool signs = block.code == kHan || block.code == "ja" || block.code == "ko";
            const std::size_t count = letters_of(block.code) * (signs ? kSignWeight : 1);
            if (count > most) {
                most = count;
                main = block.code;
            }
        }
        return main;
    }

    std::array<std::size_t, kBlocks.size()> letters_{};
    std::array<std::size_t, kSmallWords.size()> hits_{};
    std::size_t words_ = 0;
    std::string word_;
    std::size_t ukrainian_ = 0;
    std::size_t russian_ = 0;
    std::size_t hard_signs_ = 0;
    std::size_t persian_ = 0;
};

}  // namespace

std::span<const std::string_view> known_languages() {
    return kLanguages;
}

std::string_view language_of(std::string_view text) {
    // A page tells as much as a book.
    constexpr std::size_t kReadMax = 4096;
    return Census(text.substr(0, kReadMax)).verdict();
}

}  // namespace drover
