// A compiled model without Python: the same bits, and errors for everything damaged.
// tests/runtime/test_cpp_fixture.py makes its files and predicts the same in Python.
#include <cstring>
#include <fstream>
#include <iterator>

#include "cases.h"
#include "core/artifact.h"
#include "core/executor.h"
#include "core/zip.h"
#include "cpu/engine/isa.h"
#include "zip_writer.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

constexpr int64_t kRows = 5;
constexpr size_t kOutputs = kRows * 3;

std::string data_path(const char* name) { return std::string(NNC_TEST_DATA "/") + name; }

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> expected_marks() {
  std::ifstream file(data_path("marks.txt"));
  return {std::istream_iterator<float>(file), {}};
}

Options options_for(Isa isa, int threads) {
  Options options;
  options.isa = name_of(isa);
  options.threads = threads;
  return options;
}

std::vector<float> predict(Executable& executable) {
  std::vector<uint8_t> images(static_cast<size_t>(kRows) * 64);
  for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<uint8_t>(i * 37 % 101 % 8);
  const Shape shape = {kRows, 8, 8, 1};
  const ShapeView view = {shape.data(), shape.size()};
  const size_t program = executable.program_index("predict");
  Executor executor(executable);
  BoundProgram& bound = executor.bind(program, &view, 1);
  CHECK(executor.output_info(program, bound, 0).shape == (Shape{kRows, 3}));
  alignas(64) std::array<float, kOutputs> marks = {};
  const void* const input = images.data();
  void* const output = marks.data();
  executor.run(program, bound, {&input, &output});
  return {marks.begin(), marks.end()};
}

bool same_bits(const std::vector<float>& found, const std::vector<float>& wanted) {
  return found.size() == wanted.size() &&
         std::memcmp(found.data(), wanted.data(), found.size() * sizeof(float)) == 0;
}

// Its parts, sorted by name.
Parts parts_of(const std::string& file) {
  Parts parts;
  for (const auto& [name, content] : read_zip(file)) parts.emplace_back(name, content);
  return parts;
}

std::string replaced(std::string text, const std::string& old, const std::string& with) {
  const size_t at = text.find(old);
  CHECK(at != std::string::npos);
  return text.replace(at, old.size(), with);
}

// The file with a piece of one part replaced, and sound checksums.
std::string with_change(const std::string& part, const std::string& old, const std::string& with) {
  Parts parts = parts_of(content_of(data_path("marks.nnc")));
  for (auto& [name, content] : parts) {
    if (name == part) content = replaced(content, old, with);
  }
  return zip_of(parts);
}

void load(const std::string& file) {
  load_executable(parse_artifact(file), options_for(Isa::reference, 1));
}

void predicts_the_bits_that_python_does() {
  const std::vector<float> expected = expected_marks();
  CHECK(expected.size() == kOutputs);
  for (Isa isa : {Isa::reference, Isa::generic, Isa::avx2, Isa::avx512, Isa::neon}) {
    if (isa != Isa::reference && !is_available(isa)) continue;
    for (int threads : {1, 3}) {
      for (const char* name : {"marks.nnc", "marks_bf16.nnc"}) {
        const auto executable = load_executable(data_path(name), options_for(isa, threads));
        CHECK(executable->plan().strict);
        CHECK(executable->step() == 0);
        CHECK(same_bits(predict(*executable), expected));
      }
    }
  }
}

void reads_what_another_writer_makes() {
  const std::string file = content_of(data_path("marks.nnc"));
  Parts parts = parts_of(file);
  CHECK(parts.size() == 4);
  CHECK(parts[2].first == "sources/marks.nn");
  CHECK(contains(parts[2].second, "net Marks"));
  const std::string again = zip_of(parts);
  CHECK(parts_of(again) == parts);
  const auto executable = load_executable(parse_artifact(again), options_for(Isa::reference, 1));
  CHECK(same_bits(predict(*executable), expected_marks()));
}

void knows_the_step_of_training() {
  const std::string file = with_change("manifest.json", "{", "{\"step\": 1234,");
  const auto executable = load_executable(parse_artifact(file), options_for(Isa::reference, 1));
  CHECK(executable->step() == 1234);
}

void finds_every_truncation() {
  const std::string file = content_of(data_path("marks.nnc"));
  for (size_t size = 0; size < file.size(); ++size) {
    const std::vector<char> cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_ERROR(parse_artifact({cut.data(), size}), size < 4 ? "not a compiled model" : "damaged");
  }
}

void finds_every_flipped_byte_that_matters() {
  std::string file = content_of(data_path("marks.nnc"));
  const std::vector<float> expected = expected_marks();
  size_t found = 0;
  for (size_t i = 0; i < file.size(); ++i) {
    file[i] = static_cast<char>(file[i] ^ 0x55);
    try {
      const auto executable = load_executable(parse_artifact(file), options_for(Isa::generic, 1));
      CHECK(same_bits(predict(*executable), expected));
    } catch (const Error&) {
      ++found;
    }
    file[i] = static_cast<char>(file[i] ^ 0x55);
  }
  CHECK(found > file.size() * 9 / 10);
}

void refuses_zips_of_another_form() {
  const Parts parts = parts_of(content_of(data_path("marks.nnc")));
  Parts changed = {parts[0], parts[1], parts[3], parts[3]};
  CHECK_ERROR(load(zip_of(changed)), "two of its parts are named `weights.safetensors`");
  changed = {parts[0], parts[3]};
  CHECK_ERROR(load(zip_of(changed)), "it has no plan.json");
  changed = parts;
  changed.emplace_back("../plan.json", "");
  CHECK_ERROR(load(zip_of(changed)), "it has a part `../plan.json`");
  const std::string file = zip_of(parts);
  CHECK_ERROR(load(file + "x"), "damaged");
  CHECK_ERROR(load(file.substr(0, file.size() - 22) + "x" + file.substr(file.size() - 22)),
              "its table of parts is wrong");
  const size_t table = file.rfind("PK\x01\x02");
  std::string overlapping = file;
  overlapping.replace(table + 42, 4, little(0, 4));
  CHECK_ERROR(load(overlapping), "table of parts is wrong");
  CHECK_ERROR(load(""), "this is not a compiled model (.nnc)");
  CHECK_ERROR(load("net Marks {}"), "this is not a compiled model (.nnc)");
}

void refuses_manifests_that_do_not_fit() {
  const auto change = [](const char* old, const char* with) {
    load(with_change("manifest.json", old, with));
  };
  CHECK_ERROR(change("\"format\": 1", "\"format\": 9"), "format 9, and this runtime reads up to 1");
  CHECK_ERROR(change("\"format\": 1", "\"format\": \"1\""), "`format` of its manifest must be 1");
  CHECK_ERROR(change("\"strict\"", "\"default\""), "`precision` of its manifest must be that");
  CHECK_ERROR(change("{", "{\"step\": -1,"), "`step` of its manifest must be a whole number");
  CHECK_ERROR(change("{", "["), "manifest.json cannot be read: byte");
  CHECK_ERROR(load(with_change("plan.json", "{", "[")), "plan.json cannot be read: byte");
  CHECK_ERROR(load(with_change("plan.json", "\"strict\":1", "\"strict\":0")), "`precision`");
}

void refuses_weights_that_do_not_fit() {
  const auto change = [](const char* old, const char* with) {
    CHECK(std::strlen(old) == std::strlen(with));  // the header keeps its length
    load(with_change("weights.safetensors", old, with));
  };
  CHECK_ERROR(change("marks.dense.offset", "marks.dense.offsat"),
              "no value for `marks.dense.offset`");
  CHECK_ERROR(change("\"shape\":[3,3,1,4]", "\"shape\":[3,1,3,4]"),
              "is f32[3, 1, 3, 4] and should be f32[3, 3, 1, 4]");
  CHECK_ERROR(change("\"shape\":[3,3,1,4]", "\"shape\":[3,3,2,4]"), "another number of bytes");
  CHECK_ERROR(change("\"shape\":[3,3,1,4]", "\"shape\":[3,3,1,-4"), "cannot be read");
  CHECK_ERROR(change("\"dtype\":\"F32\"", "\"dtype\":\"F99\""), "has no known `dtype`");
  CHECK_ERROR(change("\"data_offsets\":[0,", "\"data_offsets\":[9,"), "another number of bytes");
  CHECK_ERROR(change("\"data_offsets\"", "\"data_offsats\""), "list of sizes as `data_offsets`");
}

void refuses_arrays_that_do_not_cover_the_data() {
  const auto arrays = [](const std::string& header, size_t bytes) {
    std::string text = little(header.size(), 8);
    text.append(header).append(bytes, '\0');
    return read_safetensors(text, "w").size();
  };
  // Arrays of bytes named a, b, …, each with the bytes where it begins and ends.
  const auto header = [](const std::vector<std::pair<int, int>>& places) {
    std::string text = "{\"__metadata__\":{\"x\":\"y\"}";
    char name = 'a';
    for (const auto& [begin, end] : places) {
      text.append(",\"").append(1, name++).append("\":{\"dtype\":\"U8\",\"shape\":[");
      text.append(std::to_string(end - begin)).append("],\"data_offsets\":[");
      text.append(std::to_string(begin)).append(",").append(std::to_string(end)).append("]}");
    }
    return text.append("}  ");
  };
  CHECK(arrays(header({{2, 5}, {0, 2}}), 5) == 2);
  CHECK(arrays(header({{0, 0}}), 0) == 1);
  CHECK_ERROR(arrays(header({{0, 2}, {1, 3}}), 3), "overlap");
  CHECK_ERROR(arrays(header({{0, 2}, {3, 4}}), 4), "between them");
  CHECK_ERROR(arrays(header({{0, 2}}), 3), "behind the arrays");
  CHECK_ERROR(arrays(header({{0, 2}}), 1), "lie outside");
  CHECK_ERROR(arrays("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],"
                     "\"data_offsets\":[0,0]}}",
                     0),
              "too large");
  CHECK_ERROR(arrays("[]", 0), "its header is no object");
  CHECK_ERROR(read_safetensors("1234567", "w"), "w cannot be read: it ends early");
  CHECK_ERROR(read_safetensors(little(9, 8).append("{}"), "w"), "longer than the file");
}

void tells_which_file_it_is_about() {
  const std::string missing = data_path("missing.nnc");
  CHECK_ERROR(load_executable(missing), missing + ": it cannot be read: No such file");
  CHECK_ERROR(load_executable(data_path("")), "it is no regular file");
  CHECK_ERROR(load_executable("/dev/null"), "it is no regular file");
  CHECK_ERROR(load_executable(data_path("marks.txt")), "marks.txt: this is not a compiled model");
}

}  // namespace

int main() {
  return run_tests(
      {{"predicts the bits that Python does", predicts_the_bits_that_python_does},
       {"reads what another writer makes", reads_what_another_writer_makes},
       {"knows the step of training", knows_the_step_of_training},
       {"finds every truncation", finds_every_truncation},
       {"finds every flipped byte that matters", finds_every_flipped_byte_that_matters},
       {"refuses zips of another form", refuses_zips_of_another_form},
       {"refuses manifests that do not fit", refuses_manifests_that_do_not_fit},
       {"refuses weights that do not fit", refuses_weights_that_do_not_fit},
       {"refuses arrays that do not cover the data", refuses_arrays_that_do_not_cover_the_data},
       {"tells which file it is about", tells_which_file_it_is_about}});
}
