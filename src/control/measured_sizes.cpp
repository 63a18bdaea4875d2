#include "control/measured_sizes.hpp"

#include <cstdint>
#include <sstream>
#include <system_error>
#include <utility>

#include <sqlite3.h>

namespace drover::control {

namespace {

// Another version is another table: old rows are of no use to it.
constexpr const char* kSchema =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS measured_2 ("
    "  model TEXT NOT NULL, engine TEXT NOT NULL, settings TEXT NOT NULL,"
    "  bytes TEXT NOT NULL, load_ns INTEGER NOT NULL, number INTEGER NOT NULL,"
    "  PRIMARY KEY (model, engine, settings));"
    "CREATE INDEX IF NOT EXISTS measured_2_number ON measured_2 (number);";

/// Another server on the same cache may be writing.
constexpr int kBusyTimeoutMs = 2'000;

/// One prepared statement; its parameters are bound in order.
class Statement {
  public:
    Statement(sqlite3* database, const char* text) {
        if (sqlite3_prepare_v2(database, text, -1, &statement_, nullptr) != SQLITE_OK) {
            statement_ = nullptr;
        }
    }
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(const std::string& text) {
        sqlite3_bind_text(
            statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
        return *this;
    }
    Statement& bind(std::int64_t number) {
        sqlite3_bind_int64(statement_, ++bound_, number);
        return *this;
    }
    Statement& bind(const SizeKey& key) {
        return bind(key.model).bind(key.engine).bind(key.settings);
    }

    /// SQLITE_ROW, SQLITE_DONE or an error.
    int step() { return statement_ != nullptr ? sqlite3_step(statement_) : SQLITE_ERROR; }
    std::int64_t column(int index) const { return sqlite3_column_int64(statement_, index); }
    std::string text(int index) const {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, index));
        return text != nullptr ? text : "";
    }

  private:
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
};

/// "5368709120 1073741824".
std::string text_of(const std::vector<Bytes>& bytes) {
    std::string text;
    for (const Bytes one : bytes) {
        text += (text.empty() ? "" : " ") + std::to_string(one.count());
    }
    return text;
}

/// Empty when it is not such a text.
std::vector<Bytes> bytes_of(const std::string& text) {
    std::vector<Bytes> bytes;
    std::istringstream words(text);
    for (std::int64_t count = 0; words >> count;) {
        if (count < 0) {
            return {};
        }
        bytes.emplace_back(count);
    }
    return words.eof() ? bytes : std::vector<Bytes>();
}

bool is_damaged(int code) {
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

}  // namespace

MeasuredSizes::MeasuredSizes(const std::filesystem::path& file) {
    std::error_code none;
    std::filesystem::create_directories(file.parent_path(), none);
    open(file);
}

MeasuredSizes::~MeasuredSizes() {
    close();
}

void MeasuredSizes::close() {
    sqlite3_close(std::exchange(database_, nullptr));
}

void MeasuredSizes::open(const std::filesystem::path& file) {
    for (const bool last_try : {false, true}) {
        constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
        int code = sqlite3_open_v2(file.c_str(), &database_, kFlags, nullptr);
        if (code == SQLITE_OK) {
            sqlite3_busy_timeout(database_, kBusyTimeoutMs);
            code = sqlite3_exec(database_, kSchema, nullptr, nullptr, nullptr);
        }
        if (code == SQLITE_OK) {
            // Damage need not show in the first page.
            Statement check(database_, "SELECT count(*), max(number) FROM measured_2");
            code = check.step() == SQLITE_ROW ? SQLITE_OK : sqlite3_errcode(database_);
        }
        if (code == SQLITE_OK) {
            return;
        }
        problem_ = file.string() + ": " + sqlite3_errstr(code);
        close();
        if (last_try || !is_damaged(code)) {
            return;
        }
        problem_ += "; it is begun anew";
        std::error_code none;
        for (const char* suffix : {"", "-wal", "-shm"}) {
            std::filesystem::remove(file.string() + suffix, none);
        }
    }
}

std::optional<MeasuredSize> MeasuredSizes::find(const SizeKey& key) const {
    if (database_ == nullptr) {
        return std::nullopt;
    }
    Statement select(database_,
                     "SELECT bytes, load_ns FROM measured_2"
                     " WHERE model = ? AND engine = ? AND settings = ?");
    if (select.bind(key).step() != SQLITE_ROW || select.column(1) < 0) {
        return std::nullopt;
    }
    MeasuredSize size{.bytes = bytes_of(select.text(0)), .load_time = Duration(select.column(1))};
    return size.bytes.empty() ? std::nullopt : std::optional(std::move(size));
}

bool MeasuredSizes::remember(const SizeKey& key, const MeasuredSize& size) {
    if (database_ == nullptr) {
        return false;
    }
    Statement insert(database_,
                     "INSERT OR REPLACE INTO measured_2 VALUES (?, ?, ?, ?, ?,"
                     " (SELECT coalesce(max(number), 0) + 1 FROM measured_2))");
    if (insert.bind(key).bind(text_of(size.bytes)).bind(size.load_time.count()).step() !=
        SQLITE_DONE) {
        return false;
    }
    Statement prune(database_,
                    "DELETE FROM measured_2 WHERE number <="
                    " (SELECT max(number) FROM measured_2) - ?");
    return prune.bind(static_cast<std::int64_t>(kRowsMax)).step() == SQLITE_DONE;
}

}  // namespace drover::control
