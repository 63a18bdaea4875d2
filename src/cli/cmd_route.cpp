#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>

#include "cli/context.hpp"
#include "cli/prompt_embeddings.hpp"
#include "cli/route_report.hpp"
#include "cli/table.hpp"
#include "platform/files.hpp"
#include "router/calibration.hpp"
#include "router/routed_outcomes.hpp"
#include "router/trainer.hpp"

namespace drover::cli {

using router::Dataset;
using router::FeatureVector;
using router::Prediction;
using router::Predictor;
using router::PredictorFacts;
using router::Purpose;

namespace {

constexpr Bytes kDataMax = 4_GiB;
constexpr Bytes kPredictorMax = 1_GiB;

/// Folds of the cross-validation that a calibration comes from.
constexpr std::size_t kCalibrationFolds = 5;

/// What the commands are told; each uses a part of it.
struct Wishes {
    std::string data;
    std::string also;
    std::string embedding;
    std::function<std::optional<Client>()> client;  ///< of the server that embeds
    std::string predictor;
    std::string output;
    std::string svg;
    std::vector<std::string> prompt;
    router::DatasetFields fields;
    std::optional<std::uint32_t> bits;
    std::optional<std::uint32_t> words;
    std::optional<std::uint32_t> pieces;
    std::optional<double> strength;
    std::optional<double> surface;
    std::optional<std::size_t> trees;
    std::size_t folds = 5;
    std::optional<std::size_t> groups_out;
    std::size_t train_size = 0;
    std::size_t draws = 5;
    std::uint64_t seed = 1;
};

router::TrainOptions options_of(const Wishes& wishes, Purpose purpose) {
    router::TrainOptions options = router::default_options(purpose);
    options.features.bits = wishes.bits.value_or(options.features.bits);
    options.features.words = wishes.words.value_or(options.features.words);
    options.features.pieces = wishes.pieces.value_or(options.features.pieces);
    options.head.strength = wishes.strength.value_or(options.head.strength);
    options.surface = wishes.surface.value_or(options.surface);
    options.boost.trees = wishes.trees.value_or(options.boost.trees);
    options.head.seed = wishes.seed;
    return options;
}

Result<Dataset> read_file(const std::string& file, const router::DatasetFields& fields) {
    const auto text = platform::read_file(file, kDataMax);
    if (!text.ok()) {
        return text.error().with(file);
    }
    if (router::is_routing_log(*text)) {
        const auto prompts = router::labelled_prompts(*text, fields);
        if (!prompts.ok()) {
            return prompts.error().with(file);
        }
        std::printf("%s: %zu prompts with feedback; %zu have too little of it\n",
                    file.c_str(),
                    prompts->used,
                    prompts->left_out);
        auto data = router::parse_dataset(prompts->jsonl, fields);
        return data.ok() ? std::move(data) : data.error().with(file);
    }
    auto data = router::parse_dataset(*text, fields);
    return data.ok() ? std::move(data) : data.error().with(file);
}

Result<Dataset> read_both(const Wishes& wishes) {
    auto data = read_file(wishes.data, wishes.fields);
    if (!data.ok() || wishes.also.empty()) {
        return data;
    }
    const auto more = read_file(wishes.also, wishes.fields);
    if (!more.ok()) {
        return more.error();
    }
    if (const Status added = router::add_examples(*data, *more); !added.ok()) {
        return added.error().with(wishes.also);
    }
    return data;
}

/// The prompts of both files, which have two labels at least.
Result<Dataset> read_data(const Wishes& wishes) {
    auto data = read_both(wishes);
    if (data.ok() && data->labels.size() < 2) {
        return Error{
            ErrorCode::invalid_argument,
            "all examples have the label '" + data->labels.front() + "'; a classifier needs two"}
            .with(wishes.data);
    }
    return data;
}

/// The prompts' embeddings, where such are wished for.
Result<std::optional<router::Embeddings>> embeddings_of(const Wishes& wishes, const Dataset& data) {
    if (wishes.embedding.empty()) {
        return std::optional<router::Embeddings>();
    }
    const std::optional<Client> client = wishes.client();
    if (!client.has_value()) {
        return Error{ErrorCode::invalid_argument, "the server is not known that should embed"};
    }
    auto embeddings = embed_prompts(*client, wishes.embedding, data);
    if (!embeddings.ok()) {
        return embeddings.error();
    }
    return std::optional(*std::move(embeddings));
}

/// A predictor's file in memory, opened.
struct OpenPredictor {
    std::string image;
    Predictor predictor;
};

Result<std::unique_ptr<OpenPredictor>> open_predictor(const std::string& path) {
    auto image = platform::read_file(path, kPredictorMax);
    if (!image.ok()) {
        return image.error().with(path);
    }
    auto holder = std::make_unique<OpenPredictor>(OpenPredictor{std::move(*image), {}});
    auto predictor = Predictor::open(holder->image);
    if (!predictor.ok()) {
        return predictor.error().with(path);
    }
    holder->predictor = std::move(*predictor);
    return holder;
}

std::vector<std::uint32_t> all_of(const Dataset& data) {
    std::vector<std::uint32_t> all(data.examples.size());
    std::iota(all.begin(), all.end(), 0U);
    return all;
}

/// What a predictor says of all prompts.
struct Said {
    std::vector<Prediction> by_words;
    std::vector<Prediction> by_sum;  ///< with embeddings; empty: nobody asked for them
};

/// Whether the predictor is one for such embeddings.
Status check_embeddings(const Predictor& predictor, const router::Embeddings& embeddings) {
    if (!predictor.embedding().has_value()) {
        return Error{ErrorCode::invalid_argument,
                     "--embedding: the predictor was not trained with any; make one with "
                     "`drover route train --embedding " +
                         embeddings.model + "`"};
    }
    const router::EmbeddingFacts& trained = predictor.embedding()->facts();
    if (trained.size != embeddings.size) {
        return Error{ErrorCode::invalid_argument,
                     "--embedding: the vectors of '" + embeddings.model + "' " +
                         router::misfit(embeddings.size, trained)};
    }
    return {};
}

Result<Said> predict_all(const Wishes& wishes, const Dataset& data, const Predictor& predictor) {
    const auto embeddings = embeddings_of(wishes, data);
    if (!embeddings.ok()) {
        return embeddings.error();
    }
    if (embeddings->has_value()) {
        if (const Status fit = check_embeddings(predictor, **embeddings); !fit.ok()) {
            return fit.error().with(wishes.predictor);
        }
    }
    Said said;
    for (const FeatureVector& one : router::read_features(data, predictor.facts().features)) {
        const std::size_t example = said.by_words.size();
        said.by_words.push_back(predictor.predict(one));
        if (embeddings->has_value()) {
            said.by_sum.push_back(predictor.sum(
                said.by_words.back(), predictor.embedding()->opinion((**embeddings)[example])));
        }
    }
    return said;
}

/// A file that is to be written at the end has a place: nobody wants to train first to learn that.
Status check_place(const std::string& file) {
    const std::filesystem::path path = std::filesystem::absolute(file);
    std::error_code failure;
    if (std::filesystem::is_directory(path, failure)) {
        return Error{ErrorCode::invalid_argument, file + " is a directory; name a file"};
    }
    if (!std::filesystem::is_directory(path.parent_path(), failure)) {
        return Error{
            ErrorCode::not_found,
            "cannot write " + file + ": there is no directory " + path.parent_path().string()};
    }
    return {};
}

Status write_predictor(const Wishes& wishes, const std::string& image) {
    DROVER_TRY(platform::write_file_atomically(wishes.output, image));
    std::printf("%s: %s\n",
                wishes.output.c_str(),
                to_string(Bytes(static_cast<std::int64_t>(image.size()))).c_str());
    return {};
}

void report(const Wishes& wishes, const Dataset& data, const Said& said) {
    std::fputs(route_report({data, said.by_words}).c_str(), stdout);
    if (!said.by_sum.empty()) {
        std::printf("\nwith embeddings of %s:\n%s",
                    wishes.embedding.c_str(),
                    route_report({data, said.by_sum}).c_str());
    }
}

/// The predictor with confidences that fit what it said.
std::string calibrated(std::string image, const Dataset& data, const Said& said) {
    image = router::calibrate(image, data, said.by_words);
    return said.by_sum.empty()
               ? image
               : router::calibrate(image, data, said.by_sum, router::PredictedBy::sum);
}

/// What predictors that were trained on other folds say of each.
Said cross_validate(const Dataset& data,
                    const std::vector<FeatureVector>& features,
                    const router::Folds& folds,
                    const router::TrainOptions& options,
                    const router::Embeddings* embeddings) {
    Said said{.by_words = router::cross_validate(data, features, folds, options), .by_sum = {}};
    if (embeddings != nullptr) {
        said.by_sum = router::cross_validate(data, features, folds, options, embeddings);
    }
    return said;
}

Status train(const Wishes& wishes) {
    DROVER_TRY(check_place(wishes.output));
    const auto data = read_data(wishes);
    if (!data.ok()) {
        return data.error();
    }
    const router::TrainOptions options = options_of(wishes, data->purpose);
    const std::vector<FeatureVector> features = router::read_features(*data, options.features);
    const auto asked = embeddings_of(wishes, *data);
    if (!asked.ok()) {
        return asked.error();
    }
    const router::Embeddings* embeddings = asked->has_value() ? &**asked : nullptr;
    const router::Folds folds = router::random_folds(*data, kCalibrationFolds, wishes.seed);
    const Said unseen = cross_validate(*data, features, folds, options, embeddings);
    report(wishes, *data, unseen);
    std::string image = router::train(*data, features, all_of(*data), options, embeddings);
    return write_predictor(wishes, calibrated(std::move(image), *data, unseen));
}

/// Trains on `train_size` examples drawn by chance and judges on the rest, several times.
Status eval_few(const Wishes& wishes, const Dataset& data) {
    const router::TrainOptions options = options_of(wishes, data.purpose);
    const std::vector<FeatureVector> features = router::read_features(data, options.features);
    if (wishes.train_size >= data.judged) {
        return Error{
            ErrorCode::invalid_argument,
            "--train-size must be below the number of examples, " + std::to_string(data.judged)};
    }
    const auto asked = embeddings_of(wishes, data);
    if (!asked.ok()) {
        return asked.error();
    }
    const router::Embeddings* embeddings = asked->has_value() ? &**asked : nullptr;
    double sum = 0;
    for (std::size_t draw = 0; draw < wishes.draws; ++draw) {
        // One fold of everything, in the order of chance.
        const router::Folds folds = router::random_folds(data, 2, wishes.seed + draw);
        std::vector<std::uint32_t> order = folds[0];
        order.insert(order.end(), folds[1].begin(), folds[1].end());
        std::vector<std::uint32_t> chosen(
            order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wishes.train_size));
        for (std::size_t i = data.judged; i < data.examples.size(); ++i) {
            chosen.push_back(static_cast<std::uint32_t>(i));
        }
        const std::string image = router::train(data, features, chosen, options, embeddings);
        const auto predictor = Predictor::open(image);
        if (!predictor.ok()) {
            return predictor.error();
        }
        Dataset rest{.purpose = data.purpose, .labels = data.labels, .groups = data.groups};
        std::vector<Prediction> predictions;
        for (std::size_t i = wishes.train_size; i < order.size(); ++i) {
            rest.examples.push_back(data.examples[order[i]]);
            predictions.push_back(
                router::predict(*predictor, features[order[i]], embeddings, order[i]));
        }
        double figure = 0;
        if (data.purpose == Purpose::complexity) {
            figure = router::apgr(router::frontier(router::outcomes(rest, predictions)));
        } else {
            for (std::size_t i = 0; i < predictions.size(); ++i) {
                figure += rest.examples[i].label == predictions[i].label ? 1 : 0;
            }
            figure /= static_cast<double>(predictions.size());
        }
        sum += figure;
        std::printf("draw %zu: %.3f\n", draw + 1, figure);
    }
    std::printf("mean %s with %zu labels: %.3f\n",
                data.purpose == Purpose::complexity ? "APGR" : "accuracy",
                wishes.train_size,
                sum / static_cast<double>(wishes.draws));
    return {};
}

/// The data may have only some of the predictor's labels: of one source all may be of one task.
Status take_labels_of(const PredictorFacts& facts, const Wishes& wishes, Dataset& data) {
    if (facts.purpose != data.purpose) {
        return Error{ErrorCode::invalid_argument,
                     wishes.predictor + " predicts " + std::string(to_string(facts.purpose)) +
                         ", and " + wishes.data + " is for " +
                         std::string(to_string(data.purpose))};
    }
    const Status known = router::take_labels(data, facts.labels);
    return known.ok() ? known : known.error().with(wishes.predictor + " for " + wishes.data);
}

/// What the predictor in a file says of the data.
Result<Said> predict_by_file(const Wishes& wishes, Dataset& data) {
    const auto opened = open_predictor(wishes.predictor);
    if (!opened.ok()) {
        return opened.error();
    }
    const PredictorFacts& facts = (*opened)->predictor.facts();
    DROVER_TRY(take_labels_of(facts, wishes, data));
    if (facts.data_digest == data.digest) {
        std::printf("note: it was trained on this very file; these figures flatter it\n");
    }
    return predict_all(wishes, data, (*opened)->predictor);
}

/// What predictors say of prompts that they were not trained on.
Result<Said> predict_unseen(const Wishes& wishes, const Dataset& data) {
    const router::TrainOptions options = options_of(wishes, data.purpose);
    const router::Folds folds = wishes.groups_out.has_value()
                                    ? router::group_folds(data, *wishes.groups_out)
                                    : router::random_folds(data, wishes.folds, wishes.seed);
    std::printf(
        "%zu folds%s\n", folds.size(), wishes.groups_out.has_value() ? " of whole groups" : "");
    const auto embeddings = embeddings_of(wishes, data);
    if (!embeddings.ok()) {
        return embeddings.error();
    }
    return cross_validate(data,
                          router::read_features(data, options.features),
                          folds,
                          options,
                          embeddings->has_value() ? &**embeddings : nullptr);
}

Status eval(const Wishes& wishes) {
    if (!wishes.svg.empty()) {
        DROVER_TRY(check_place(wishes.svg));
    }
    auto data = wishes.predictor.empty() ? read_data(wishes) : read_both(wishes);
    if (!data.ok()) {
        return data.error();
    }
    if (!wishes.svg.empty() && data->purpose != Purpose::complexity) {
        return Error{ErrorCode::invalid_argument,
                     "--svg draws what the outcomes of two models cost and are worth; " +
                         wishes.data + " has labels"};
    }
    if (wishes.train_size > 0) {
        return eval_few(wishes, *data);
    }
    const auto said =
        wishes.predictor.empty() ? predict_unseen(wishes, *data) : predict_by_file(wishes, *data);
    if (!said.ok()) {
        return said.error();
    }
    report(wishes, *data, *said);
    if (!wishes.svg.empty()) {
        const auto points = router::frontier(router::outcomes(*data, said->by_words));
        return platform::write_file_atomically(wishes.svg, frontier_svg(points));
    }
    return {};
}

/// Fits the calibration of a cascade to scored answers.
Status calibrate_cascade(const Wishes& wishes) {
    const auto text = platform::read_file(wishes.data, kDataMax);
    if (!text.ok()) {
        return text.error().with(wishes.data);
    }
    auto answers = router::is_routing_log(*text) ? router::scored_answers(*text)
                                                 : router::parse_scored_answers(*text);
    if (!answers.ok()) {
        return answers.error().with(wishes.data);
    }
    std::fputs(cascade_report(*answers, wishes.seed).c_str(), stdout);
    return write_predictor(
        wishes, router::to_text(router::fit_calibration(*std::move(answers), wishes.seed)));
}

Status calibrate(const Wishes& wishes) {
    DROVER_TRY(check_place(wishes.output));
    if (wishes.predictor == "cascade") {
        return calibrate_cascade(wishes);
    }
    auto data = read_both(wishes);
    if (!data.ok()) {
        return data.error();
    }
    const auto opened = open_predictor(wishes.predictor);
    if (!opened.ok()) {
        return opened.error();
    }
    const Predictor& predictor = (*opened)->predictor;
    DROVER_TRY(take_labels_of(predictor.facts(), wishes, *data));
    const auto said = predict_all(wishes, *data, predictor);
    if (!said.ok()) {
        return said.error();
    }
    report(wishes, *data, *said);
    return write_predictor(wishes, calibrated((*opened)->image, *data, *said));
}

void add_data(CLI::App& command, Wishes& wishes) {
    command.add_option("data", wishes.data, "JSON lines: prompt, and label or weak and strong")
        ->required();
    command.add_option("--label", wishes.fields.label, "Member with the label");
    command.add_option("--group", wishes.fields.group, "Member with the group");
    command.add_option("--weak", wishes.fields.weak, "Member with the weak model's outcome");
    command.add_option("--strong", wishes.fields.strong, "Member with the strong model's outcome");
}

void add_embedding(CLI::App& command, Wishes& wishes) {
    command.add_option("--embedding",
                       wishes.embedding,
                       "A model of the server that embeds the prompts; its vectors count, too");
}

void add_training(CLI::App& command, Wishes& wishes) {
    command.add_option("--bits", wishes.bits, "2^BITS buckets")->check(CLI::Range(8, 22));
    command.add_option("--words", wishes.words, "Longest run of words")->check(CLI::Range(1, 3));
    command.add_option("--pieces", wishes.pieces, "Longest piece of a word; 0: none")
        ->check(CLI::Range(0, 8));
    command.add_option("--strength", wishes.strength, "Weight of the examples (C)");
    command.add_option("--surface", wishes.surface, "Weight of the surface measures");
    command.add_option("--trees", wishes.trees, "Trees of each label over the measures; 0: none")
        ->check(CLI::Range(std::size_t{0}, router::kTreesMax));
    command.add_option("--also", wishes.also, "More prompts to train on; they are never judged");
    add_embedding(command, wishes);
    command.add_option("--seed", wishes.seed, "Seed of everything that is drawn");
}

}  // namespace

void add_route(CLI::App& app, Context& context) {
    CLI::App* route = app.add_subcommand("route", "Train, judge and explain routing");
    route->require_subcommand(1);
    const auto wishes = std::make_shared<Wishes>();
    wishes->client = [&context] {
        return context.client();
    };
    const auto run = [&context, wishes](Status (*what)(const Wishes&)) {
        return [&context, wishes, what] {
            if (const Status status = what(*wishes); !status.ok()) {
                context.fail(status.error());
            }
        };
    };
    CLI::App* command = route->add_subcommand("train", "Make a predictor from labelled prompts");
    add_data(*command, *wishes);
    add_training(*command, *wishes);
    command->add_option("-o,--output", wishes->output, "The predictor's file")->required();
    command->callback(run(train));

    command = route->add_subcommand("eval", "Say how good prediction is on prompts never seen");
    add_data(*command, *wishes);
    add_training(*command, *wishes);
    command->add_option("--predictor", wishes->predictor, "Judge this one instead of training")
        ->excludes("--also");
    command->add_option("--folds", wishes->folds, "Cross-validation by chance")
        ->check(CLI::Range(2, 100));
    command
        ->add_option("--leave-groups-out",
                     wishes->groups_out,
                     "Cross-validation by whole groups: so many folds, 0: each group alone")
        ->check(CLI::Range(std::size_t{0}, router::kTreesMax));
    command->add_option("--train-size", wishes->train_size, "Train on so few, judge on the rest");
    command->add_option("--draws", wishes->draws, "How often, with --train-size")
        ->check(CLI::Range(1, 1000));
    command->add_option("--svg", wishes->svg, "Write the frontier as a picture")
        ->excludes("--train-size");
    command->callback(run(eval));

    add_route_explain(*route, context);
    command = route->add_subcommand("calibrate", "Fit a predictor's confidence to new outcomes");
    command
        ->add_option("predictor",
                     wishes->predictor,
                     "The predictor's file, or the word `cascade`: data is then score and correct")
        ->required();
    add_data(*command, *wishes);
    add_embedding(*command, *wishes);
    command->add_option("-o,--output", wishes->output, "The new file")->required();
    command->callback(run(calibrate));
}

}  // namespace drover::cli
