#include "router/marks.hpp"

#include <array>
#include <cstddef>

namespace drover::router {

namespace {

constexpr std::string_view kSyntax =
    "def elif return import void const let var null nullptr none printf println print len self "
    "struct public static private include std endl cout lambda async await func fn foreach endif "
    "typedef namespace enum str int bool float dict tuple argv args kwargs init __init__ __main__ "
    "isinstance throws typename usepackage documentclass textbf mathbb frac xor nil usr bin sudo "
    "npm pip chmod varchar href div onclick malloc stdin stdout iostream numpy";

constexpr std::string_view kSoftware =
    "code coding python javascript typescript java rust golang php perl ruby kotlin swift scala "
    "haskell lua sql mysql postgres sqlite html css xml json yaml regex regexp latex bash shell "
    "linux unix git github docker kubernetes api apis algorithm algorithms compiler compile "
    "compiles debug debugging bug bugs function functions method variable variables array arrays "
    "string strings integer integers boolean pointer pointers loop loops recursion recursive "
    "recursively iterator iterate parse parser parsing programming programmer program programs "
    "script scripts software database query queries backend frontend server thread threads "
    "multithreading runtime exception stacktrace refactor implement implementation implements "
    "complexity hashmap hash stack queue heap node nodes linked binary tree graph sort sorted "
    "sorting substring subarray palindrome input output inputs outputs django flask react angular "
    "node js c cpp numpy pandas tensorflow pytorch class classes syntax snippet ide stackoverflow "
    "constructor inheritance callback closure async lambda tabular table bibtex";

constexpr std::string_view kFormal =
    "equation equations solve integral integrate derivative differentiate polynomial quadratic "
    "probability triangle rectangle circle radius diameter circumference angle angles perimeter "
    "volume sum product divided divide divisible multiply multiplied multiple remainder prime "
    "fraction fractions numerator denominator average mean median variance square squared cube "
    "cubed root roots factorial matrix matrices determinant eigenvalue theorem prove proof "
    "hypotenuse algebra algebraic calculus logarithm sine cosine sin cos tan calculate compute "
    "evaluate simplify factor inequality modulo digit digits odd vertices coordinates slope "
    "intercept parallel perpendicular permutations combinations expression value integers "
    "arithmetic geometric sequence series limit vector vectors percent percentage ratio math "
    "mathematics mathematical number numbers x y z";

constexpr std::string_view kQuantity =
    "many much total each every half twice thrice double triple quarter third per cost costs "
    "price priced pays pay paid spend spends spent earn earns earned sold sell sells buy buys "
    "bought left remaining remain altogether times dozen dozens pounds pound miles mile hours "
    "hour minutes minute weeks week days day dollars dollar cents feet inches meters kilometers "
    "liters gallons ounces grams older younger faster slower more less fewer than gave gives "
    "received remaining ate eats uses used needs combined same equal equally weighs weight "
    "originally still difference combined age old tall long far fast";

constexpr std::string_view kNumber =
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "twenty thirty forty fifty hundred thousand million half third quarter twice";

constexpr std::size_t kSlots = 2048;
constexpr std::size_t kSlotMask = kSlots - 1;

struct Slot {
    std::uint64_t hash = 0;
    Mark mark = Mark::none;
};

struct Table {
    std::array<Slot, kSlots> slots{};

    constexpr void add(std::string_view words, Mark mark) {
        while (!words.empty()) {
            const std::string_view word = words.substr(0, words.find(' '));
            words.remove_prefix(word.size() < words.size() ? word.size() + 1 : word.size());
            const std::uint64_t hash = word_hash(word);
            std::size_t at = hash & kSlotMask;
            while (slots[at].hash != 0 && slots[at].hash != hash) {
                at = (at + 1) & kSlotMask;
            }
            if (slots[at].hash == 0) {
                slots[at] = {hash, mark};
            }
        }
    }
};

constexpr Table make_table() {
    Table table;
    table.add(kSyntax, Mark::syntax);
    table.add(kSoftware, Mark::software);
    table.add(kFormal, Mark::formal);
    table.add(kNumber, Mark::number);
    table.add(kQuantity, Mark::quantity);
    return table;
}

constexpr Table kTable = make_table();

}  // namespace

Mark mark_of(std::uint64_t hash) {
    std::size_t at = hash & kSlotMask;
    while (kTable.slots[at].hash != 0) {
        if (kTable.slots[at].hash == hash) {
            return kTable.slots[at].mark;
        }
        at = (at + 1) & kSlotMask;
    }
    return Mark::none;
}

}  // namespace drover::router
