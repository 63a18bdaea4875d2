#include "base/language.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace drover {
namespace {

constexpr std::pair<std::string_view, std::string_view> kSentences[] = {
    {"ar", "اكتب لي رسالة قصيرة إلى صديقي عن العطلة"},
    {"bg",
     "Моля, напиши ми кратък разказ за един стар град и неговите хора, които ги няма вече"
     " и обясни ъгъла"},
    {"bn", "আমাকে একটি ছোট গল্প লিখে দাও"},
    {"cs", "Napiš mi krátký příběh o tom, jak se malý pes ztratil a že to nakonec dobře dopadlo"},
    {"da", "Skriv et kort digt om efteråret, og forklar hvad det betyder for dig og for andre"},
    {"de", "Schreibe bitte einen kurzen Brief an meinen Vermieter, weil die Heizung nicht geht."},
    {"de", "Wie viele Einwohner hat die Stadt und was kann man dort am Wochenende machen?"},
    {"el", "Γράψε μου ένα μικρό ποίημα για τη θάλασσα"},
    {"en", "Write a short poem about autumn in the mountains."},
    {"en", "How do I reverse a linked list, and what does it cost?"},
    {"es", "Escribe un poema corto sobre el otoño en las montañas y explica por qué es así."},
    {"fa", "لطفا یک نامه کوتاه برای دوستم بنویس که چگونه پیدا کنم"},
    {"fi",
     "Kerro minulle lyhyt tarina siitä, miten hän oli kotona ja mitä se on, että ei ole lunta"},
    {"fr",
     "Écris un court poème sur l'automne dans les montagnes et explique ce que cela veut dire."},
    {"he", "כתוב לי שיר קצר על הסתיו"},
    {"hi", "मुझे शरद ऋतु के बारे में एक छोटी कविता लिखो"},
    {"hy", "Գրիր ինձ մի կարճ պատմություն"},
    {"id", "Tuliskan sebuah cerita pendek yang menarik untuk anak dan jelaskan apa artinya ini."},
    {"it", "Scrivi una breve poesia sull'autunno e spiegami perché gli alberi perdono le foglie."},
    {"ja", "秋の山についての短い詩を書いてください。"},
    {"ka", "დამიწერე მოკლე ლექსი შემოდგომაზე"},
    {"ko", "가을 산에 대한 짧은 시를 써 주세요"},
    {"nl", "Schrijf een kort gedicht over de herfst en leg uit wat het voor jou betekent."},
    {"pl",
     "Napisz krótki wiersz o jesieni i wyjaśnij, dlaczego to jest dla ciebie ważne, że nie śpisz."},
    {"pt", "Escreva um poema curto sobre o outono nas montanhas e explique por que não é fácil."},
    {"ro", "Scrie o poezie scurtă despre toamnă și explică ce este mai important pentru tine."},
    {"ru", "Напиши короткое стихотворение об осени, и объясни, почему это так, чтобы мы поняли"},
    {"sv", "Skriv en kort dikt om hösten och förklara vad det är som du tycker om med den."},
    {"ta", "இலையுதிர் காலம் பற்றி ஒரு கவிதை எழுது"},
    {"te", "శరదృతువు గురించి ఒక చిన్న కవిత రాయి"},
    {"th", "ช่วยเขียนบทกวีสั้นๆเกี่ยวกับฤดูใบไม้ร่วง"},
    {"tr", "Sonbahar için kısa bir şiir yaz ve bu mevsim neden çok güzel, nasıl olduğunu anlat."},
    {"uk", "Напиши короткий вірш про осінь і поясни, що він означає для тебе"},
    {"vi", "Hãy viết cho tôi một bài thơ ngắn về mùa thu và những điều bạn thích trong đó."},
    {"zh", "请写一首关于秋天的短诗"},
};

TEST(Language, RecognisesEachByASentence) {
    for (const auto& [code, sentence] : kSentences) {
        EXPECT_EQ(language_of(sentence), code) << sentence;
    }
}

TEST(Language, KnowsTheCodesThatItTells) {
    const auto known = known_languages();
    EXPECT_TRUE(std::is_sorted(known.begin(), known.end()));
    for (const auto& [code, sentence] : kSentences) {
        EXPECT_TRUE(std::binary_search(known.begin(), known.end(), code)) << code;
    }
}

TEST(Language, ClaimsNothingWithoutEvidence) {
    for (const std::string_view text :
         {"", "12 + 30 = ?", "hello", "x = [1, 2, 3]; print(x)", "\xFF\xFE\x80", "@@@ ---", "中"}) {
        EXPECT_EQ(language_of(text), "") << text;
    }
}

TEST(Language, GoesByTheMainScript) {
    EXPECT_EQ(language_of("Was bedeutet das Wort 秋 und wie wird es in einem Satz benutzt?"), "de");
    EXPECT_EQ(language_of("请把 hello world 翻译成中文，并解释一下它的来源"), "zh");
}

TEST(Language, TakesAnyBytes) {
    std::string bytes;
    for (int i = 0; i < 5000; ++i) {
        bytes += static_cast<char>(i * 7919 % 256);
        language_of(bytes.substr(bytes.size() > 9 ? bytes.size() - 9 : 0));
    }
    EXPECT_EQ(language_of(std::string(100'000, '\xE4')), "");
}

}  // namespace
}  // namespace drover
