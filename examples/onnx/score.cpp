// Scores an image with a detector that `flawforge export` wrote, by the C++ interface of ONNX Runtime.
//
//     c++ -std=c++17 -I ONNXRUNTIME/include score.cpp -L ONNXRUNTIME/lib -lonnxruntime -o score
//     ./score model.onnx suspect.ppm
//
// Written for the interface of ONNX Runtime 1.13 and later; tried with the headers of 1.21 and the library of 1.32. A test compiles it
// where FLAWFORGE_ONNXRUNTIME names such a folder ONNXRUNTIME.
//
// The image is a binary PPM (P6, 8 bits), so that nothing but ONNX Runtime is needed; most programs convert to it.

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Image {
    int64_t width = 0;
    int64_t height = 0;
    std::vector<uint8_t> pixels;  // row by row, red, green and blue of each pixel
};

Image read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    int64_t most = 0;
    Image image;
    file >> magic >> image.width >> image.height >> most;
    if (!file || magic != "P6" || most != 255 || image.width <= 0 || image.height <= 0) {
        throw std::runtime_error(path + ": not a binary PPM of 8 bits without comments");
    }
    file.get();  // the one blank behind the header
    image.pixels.resize(static_cast<size_t>(3 * image.width * image.height));
    file.read(reinterpret_cast<char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()));
    if (!file) {
        throw std::runtime_error(path + ": ends early");
    }
    return image;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 3) {
        std::cerr << "usage: score MODEL.onnx IMAGE.ppm\n";
        return 2;
    }
    Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "score");
    const std::string path = argv[1];
    const std::basic_string<ORTCHAR_T> model(path.begin(), path.end());
    Ort::Session session(environment, model.c_str(), Ort::SessionOptions{});

    Image image = read_ppm(argv[2]);
    const std::array<int64_t, 4> shape{1, image.height, image.width, 3};
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    auto input = Ort::Value::CreateTensor<uint8_t>(memory, image.pixels.data(), image.pixels.size(), shape.data(), shape.size());

    // A run without calibration has no output `verdict`.
    Ort::AllocatorWithDefaultOptions allocator;
    std::vector<const char*> wanted{"verdict_score", "map"};
    for (size_t i = 0; i < session.GetOutputCount(); ++i) {
        if (std::string(session.GetOutputNameAllocated(i, allocator).get()) == "verdict") {
            wanted.push_back("verdict");
        }
    }
    const char* given[] = {"images"};
    auto found = session.Run(Ort::RunOptions{}, given, &input, 1, wanted.data(), wanted.size());

    const float score = found[0].GetTensorData<float>()[0];
    const float* map = found[1].GetTensorData<float>();
    const int64_t highest = std::max_element(map, map + image.width * image.height) - map;
    const char* names[] = {"normal", "look", "anomalous"};
    std::cout << argv[2] << ": " << (found.size() > 2 ? names[found[2].GetTensorData<int64_t>()[0]] : "no threshold") << ", score "
              << score << ", highest at column " << highest % image.width << ", row " << highest / image.width << "\n";
    return 0;
} catch (const std::exception& fault) {
    std::cerr << "error: " << fault.what() << "\n";
    return 1;
}
