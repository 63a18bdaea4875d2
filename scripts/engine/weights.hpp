// Lets the kernel drop the weights of a model that sleeps; see weights.cpp.
#pragma once

// While it lives, the buffers for weights that its thread makes are those of a model that may
// sleep.
class ModelLoading {
  public:
    ModelLoading();
    ModelLoading(const ModelLoading&) = delete;
    ModelLoading& operator=(const ModelLoading&) = delete;
    ~ModelLoading();
};

// Gives the memory of all models' weights back that lies in no file, if there is a folder for it on
// a disk with room; else it stays. They are where they were, and read from the disk when they are
// touched.
void drop_weights();
