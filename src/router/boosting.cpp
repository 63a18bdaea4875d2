#include "router/boosting.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "base/assert.hpp"

namespace drover::router {

namespace {

constexpr std::size_t kBins = 64;

/// A limit that no measure is above: the question of a node that is not divided.
constexpr float kNever = 1e8F;

/// The measures of all examples as places among the limits of each.
class Bins {
  public:
    explicit Bins(const BoostLessons& lessons)
        : examples_(lessons.truths.size()), places_(lessons.width * examples_) {
        for (std::size_t measure = 0; measure < lessons.width; ++measure) {
            std::vector<float> values(examples_);
            for (std::size_t i = 0; i < examples_; ++i) {
                values[i] = lessons.rows[i * lessons.width + measure];
            }
            limits_.push_back(limits_of(values));
            const std::vector<float>& limits = limits_.back();
            for (std::size_t i = 0; i < examples_; ++i) {
                const auto place = std::lower_bound(limits.begin(), limits.end(), values[i]);
                places_[measure * examples_ + i] =
                    static_cast<std::uint8_t>(place - limits.begin());
            }
        }
    }

    std::size_t measures() const { return limits_.size(); }
    /// Above limit `i` is who has a place above `i`.
    const std::vector<float>& limits(std::size_t measure) const { return limits_[measure]; }
    std::span<const std::uint8_t> places(std::size_t measure) const {
        return std::span(places_).subspan(measure * examples_, examples_);
    }

  private:
    /// Values with about as many examples between them, the largest left out.
    static std::vector<float> limits_of(std::vector<float> values) {
        std::sort(values.begin(), values.end());
        std::vector<float> limits;
        for (std::size_t bin = 1; bin < kBins; ++bin) {
            const float limit = values[bin * (values.size() - 1) / kBins];
            if (limit < values.back() && (limits.empty() || limit > limits.back())) {
                limits.push_back(limit);
            }
        }
        return limits;
    }

    std::size_t examples_;
    std::vector<std::vector<float>> limits_;
    std::vector<std::uint8_t> places_;
};

/// Of some examples: by how much they are missed, how certain that is, and how many they are.
struct Sums {
    double gradient = 0;
    double curvature = 0;
    std::size_t examples = 0;

    void operator+=(const Sums& other) {
        gradient += other.gradient;
        curvature += other.curvature;
        examples += other.examples;
    }
    Sums operator-(const Sums& other) const {
        return {gradient - other.gradient, curvature - other.curvature, examples - other.examples};
    }
};

struct Question {
    std::size_t measure = 0;
    std::size_t limit = 0;  ///< its place
    double gain = 0;        ///< 0: none is worth asking
};

class Booster {
  public:
    Booster(const BoostLessons& lessons, const BoostOptions& options)
        : lessons_(lessons),
          options_(options),
          bins_(lessons),
          margins_(lessons.truths.size(), log_odds(lessons)),
          steps_(margins_.size()),
          nodes_(margins_.size()) {}

    /// What all trees begin with.
    static double log_odds(const BoostLessons& lessons) {
        double yes = 1;
        double no = 1;
        for (std::size_t i = 0; i < lessons.truths.size(); ++i) {
            (lessons.truths[i] != 0 ? yes : no) += lessons.importance[i];
        }
        return std::log(yes / no);
    }

    Tree grow() {
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            const double p = 1.0 / (1.0 + std::exp(-margins_[i]));
            const double truth = lessons_.truths[i] != 0 ? 1.0 : 0.0;
            const double weight = lessons_.importance[i];
            steps_[i] = {weight * (truth - p), weight * p * (1 - p), 1};
        }
        Tree tree;
        std::fill(nodes_.begin(), nodes_.end(), std::uint8_t{0});
        for (std::size_t first = 0; first + 1 < kTreeLeaves; first = 2 * first + 1) {
            divide(first, tree);
        }
        set_values(tree);
        return tree;
    }

  private:
    double worth(const Sums& sums) const {
        return sums.gradient * sums.gradient / (sums.curvature + options_.ridge);
    }

    /// Asks the best question of each node of the level that begins with node `first`.
    void divide(std::size_t first, Tree& tree) {
        const std::size_t count = first + 1;
        std::vector<Question> best(count);
        for (std::size_t measure = 0; measure < bins_.measures(); ++measure) {
            std::vector<std::array<Sums, kBins>> bins(count);
            const auto places = bins_.places(measure);
            for (std::size_t i = 0; i < steps_.size(); ++i) {
                bins[nodes_[i] - first][places[i]] += steps_[i];
            }
            for (std::size_t node = 0; node < count; ++node) {
                improve(best[node], measure, bins[node]);
            }
        }
        for (std::size_t node = 0; node < count; ++node) {
            const Question& question = best[node];
            tree.measures[first + node] = static_cast<std::uint8_t>(question.measure);
            tree.limits[first + node] =
                question.gain > 0 ? bins_.limits(question.measure)[question.limit] : kNever;
        }
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            const Question& question = best[nodes_[i] - first];
            const bool above =
                question.gain > 0 && bins_.places(question.measure)[i] > question.limit;
            nodes_[i] = static_cast<std::uint8_t>(2 * nodes_[i] + 1 + (above ? 1 : 0));
        }
    }

    /// `best` becomes the best question about `measure` where that is better.
    void improve(Question& best, std::size_t measure, const std::array<Sums, kBins>& bins) const {
        Sums all;
        for (const Sums& bin : bins) {
            all += bin;
        }
        Sums below;
        for (std::size_t limit = 0; limit < bins_.limits(measure).size(); ++limit) {
            below += bins[limit];
            const Sums above = all - below;
            if (std::min(below.examples, above.examples) < options_.least) {
                continue;
            }
            const double gain = worth(below) + worth(above) - worth(all);
            if (gain > best.gain) {
                best = {measure, limit, gain};
            }
        }
    }

    void set_values(Tree& tree) {
        constexpr std::size_t kFirst = kTreeLeaves - 1;
        std::array<Sums, kTreeLeaves> sums{};
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            sums[nodes_[i] - kFirst] += steps_[i];
        }
        for (std::size_t leaf = 0; leaf < kTreeLeaves; ++leaf) {
            tree.values[leaf] = static_cast<float>(options_.rate * sums[leaf].gradient /
                                                   (sums[leaf].curvature + options_.ridge));
        }
        for (std::size_t i = 0; i < margins_.size(); ++i) {
            margins_[i] += tree.values[nodes_[i] - kFirst];
        }
    }

    const BoostLessons& lessons_;
    const BoostOptions& options_;
    Bins bins_;
    std::vector<double> margins_;
    std::vector<Sums> steps_;          ///< of each example
    std::vector<std::uint8_t> nodes_;  ///< where each is in the tree that grows
};

}  // namespace

std::vector<Tree> boost(const BoostLessons& lessons, const BoostOptions& options) {
    DROVER_ASSERT(lessons.width <= UINT8_MAX && !lessons.truths.empty() &&
                  lessons.rows.size() == lessons.width * lessons.truths.size() &&
                  lessons.importance.size() == lessons.truths.size());
    Booster booster(lessons, options);
    std::vector<Tree> trees;
    for (std::size_t i = 0; i < options.trees; ++i) {
        trees.push_back(booster.grow());
    }
    if (!trees.empty()) {
        for (float& value : trees.front().values) {
            value += static_cast<float>(Booster::log_odds(lessons));
        }
    }
    return trees;
}

}  // namespace drover::router
