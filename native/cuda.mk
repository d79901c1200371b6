# The CUDA kernels, twice: libwarpbert_simt.so by g++, which runs them on the CPU thread by thread, and, where nvcc is found,
# libwarpbert_cuda.so. Included by Makefile.
#   make simt, make cuda   the libraries
#   make for-tests    what the Java tests need: simt, and stand-ins for libraries of CUDA
#   make simt-test    every kernel under simt against float64, in three schedules; planted faults
#   make simt-asan    the same with AddressSanitizer and UBSan
#   make simt-race    the same with the race check (needs clang++)
#   make cuda-check   tensor-core instructions stand in the attention kernels' machine code (needs nvcc)
#   make ptx-test     the tests of simt-test with what nvcc made of the kernels, their PTX, run on the CPU (needs nvcc 13)
CUDA_SRC   := ../src/main/cuda
CUDA_OPS   := $(filter-out context,$(patsubst $(CUDA_SRC)/%.cu,%,$(wildcard $(CUDA_SRC)/*.cu)))
CUDA_DEPS  := $(wildcard $(CUDA_SRC)/*.cuh $(CUDA_SRC)/*.h include/*.h) cuda.mk
SIMT_DEPS  := $(wildcard simt/*.h) $(CUDA_DEPS)

# ---- simt
SIMT_FLAGS = -std=c++17 -fPIC -fvisibility=hidden -ffunction-sections -Iinclude -Isimt -I$(CUDA_SRC) -DWB_SIMT $(WARN) \
             -Wno-unknown-pragmas -fno-strict-aliasing $(SIMT_OPT) $(EXTRA_CXXFLAGS)
SIMT_OPT   ?= -O2
# What compiles the kernels; the race check takes clang for them alone.
KERNEL_CXX ?= $(CXX)
SIMT_OBJ   := $(CUDA_OPS:%=$(BUILD)/simt/%.o) $(BUILD)/simt/runtime/context.o $(patsubst simt/%.cpp,$(BUILD)/simt/runtime/%.o,$(filter-out simt/race.cpp,$(wildcard simt/*.cpp)))
SIMT_OBJ   += $(SIMT_RACE_OBJ)

$(BUILD)/simt/%.o: $(CUDA_SRC)/%.cu $(SIMT_DEPS)
	@mkdir -p $(@D)
	$(KERNEL_CXX) $(SIMT_FLAGS) $(KERNEL_FLAGS) -x c++ -c $< -o $@
$(BUILD)/simt/runtime/%.o: simt/%.cpp $(SIMT_DEPS)
	@mkdir -p $(@D)
	$(CXX) $(SIMT_FLAGS) -c $< -o $@
$(BUILD)/simt/runtime/context.o: $(CUDA_SRC)/context.cu $(SIMT_DEPS)
	@mkdir -p $(@D)
	$(CXX) $(SIMT_FLAGS) -x c++ -c $< -o $@
$(OUT)/libwarpbert_simt.so: $(SIMT_OBJ)
	@mkdir -p $(OUT)
	$(CXX) $(EXTRA_CXXFLAGS) -o $@ $^ $(LDFLAGS)
.PHONY: simt cuda
simt: $(OUT)/libwarpbert_simt.so

SIMT_TESTS    := ../tests/native/simt
SIMT_TEST_OBJ := $(patsubst $(SIMT_TESTS)/%.cpp,$(BUILD)/simt-test/%.o,$(filter-out $(SIMT_TESTS)/cubin_check.cpp,$(wildcard $(SIMT_TESTS)/*.cpp))) \
                 $(patsubst $(SIMT_TESTS)/%.cu,$(BUILD)/simt-test/%.o,$(wildcard $(SIMT_TESTS)/*.cu)) \
                 $(BUILD)/simt-test/shared/reference.o $(BUILD)/simt-test/shared/harness.o
SIMT_TEST_DEPS := $(wildcard $(SIMT_TESTS)/*.h ../tests/native/*.h)

$(BUILD)/simt-test/shared/%.o: ../tests/native/%.cpp $(SIMT_TEST_DEPS) $(SIMT_DEPS)
	@mkdir -p $(@D)
	$(CXX) $(SIMT_FLAGS) -c $< -o $@
$(BUILD)/simt-test/%.o: $(SIMT_TESTS)/%.cpp $(SIMT_TEST_DEPS) $(SIMT_DEPS)
	@mkdir -p $(@D)
	$(CXX) $(SIMT_FLAGS) -c $< -o $@
$(BUILD)/simt-test/%.o: $(SIMT_TESTS)/%.cu $(SIMT_TEST_DEPS) $(SIMT_DEPS)
	@mkdir -p $(@D)
	$(KERNEL_CXX) $(SIMT_FLAGS) $(KERNEL_FLAGS) -I$(SIMT_TESTS) -x c++ -c $< -o $@
$(BUILD)/simt_test: $(SIMT_TEST_OBJ) $(SIMT_OBJ)
	$(CXX) $(EXTRA_CXXFLAGS) -o $@ $^

.PHONY: simt-test simt-asan simt-race cuda-check
simt-test: $(BUILD)/simt_test
	$(BUILD)/simt_test
simt-asan:
	$(MAKE) BUILD=$(BUILD)-simt-asan SIMT_OPT=-O1 EXTRA_CXXFLAGS="-g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined" $(BUILD)-simt-asan/simt_test
	ASAN_OPTIONS=allocator_may_return_null=1 $(BUILD)-simt-asan/simt_test

CLANG ?= $(shell for c in clang++ clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14; do command -v $$c && break; done)
simt-race:
	@test -n "$(CLANG)" || { echo "simt-race needs clang++ (Debian: apt-get install clang)"; exit 1; }
	$(MAKE) BUILD=$(BUILD)-simt-race KERNEL_CXX="$(CLANG)" KERNEL_FLAGS="-fsanitize=thread -Wno-pass-failed" EXTRA_CXXFLAGS=-DWB_SIMT_RACE \
	  SIMT_RACE_OBJ=$(BUILD)-simt-race/simt/runtime/race.o $(BUILD)-simt-race/simt_test
	$(BUILD)-simt-race/simt_test

# ---- stand-ins for libraries of CUDA, for tests of what calls them; the rest of those that its bindings name are empty
STANDINS := $(BUILD)/standins
STANDIN   = @mkdir -p $(@D) && echo $@ && $(CXX) -std=c++17 -O2 -fPIC $(WARN) -shared -Wl,-soname,$(@F) -o $@
$(STANDINS)/cublaslt/libcublasLt.so.13: ../tests/native/standins/cublaslt.cpp
	$(STANDIN) $<
$(STANDINS)/old/libcuda.so.1: ../tests/native/standins/old_driver.cpp
	$(STANDIN) $<
$(STANDINS)/empty/%:
	$(STANDIN) -x c++ /dev/null
# simt as the kernels' own library: on a class path that begins with this folder the device cuda is a GPU that is simt.
STANDIN_GPU = $(STANDINS)/gpu/org/warpbert/backend/$(PLATFORM)/libwarpbert_cuda.so
$(STANDIN_GPU): $(OUT)/libwarpbert_simt.so
	@mkdir -p $(@D)
	cp $< $@
.PHONY: for-tests
for-tests: simt $(STANDIN_GPU) $(STANDINS)/cublaslt/libcublasLt.so.13 $(STANDINS)/old/libcuda.so.1 \
           $(foreach l,libcublas.so.13 libcudart.so.13 libcuda.so.1,$(STANDINS)/empty/$(l))

# ---- CUDA: machine code for each architecture, and PTX for those yet to come. Spills and local memory are errors.
NVCC       ?= $(shell command -v nvcc 2>/dev/null)
CUDA_ARCHS ?= 80 86 89 90a 100 120
NVCC_FLAGS := -std=c++17 -O3 -Iinclude -I$(CUDA_SRC) $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) \
              -gencode arch=compute_80,code=compute_80 -compress-mode=size -Werror all-warnings -Xptxas -v,-warn-spills,-warn-lmem-usage \
              -Xcompiler -fPIC,-fvisibility=hidden,-ffunction-sections,-Wall,-Wextra,-Wno-unknown-pragmas
CUDA_OBJ   := $(CUDA_OPS:%=$(BUILD)/cuda/%.o) $(BUILD)/cuda/context.o

# The compiler's report of registers, shared memory and spills stays beside each object.
$(BUILD)/cuda/%.o: $(CUDA_SRC)/%.cu $(CUDA_DEPS)
	@mkdir -p $(@D)
	$(NVCC) $(NVCC_FLAGS) -c $< -o $@ > $(@:.o=.log) 2>&1 || { grep -E 'error|warning' $(@:.o=.log); exit 1; }
$(OUT)/libwarpbert_cuda.so: $(CUDA_OBJ)
	@mkdir -p $(OUT)
	$(NVCC) -shared -cudart static -o $@ $^ $(foreach f,-static-libstdc++ -static-libgcc,-Xcompiler $(f)) \
	  $(foreach f,--no-undefined --gc-sections --exclude-libs=ALL,-Xlinker $(f))
ifneq ($(NVCC),)
cuda: $(OUT)/libwarpbert_cuda.so
else
cuda: ; @echo "nvcc (CUDA 13) is needed for libwarpbert_cuda.so and not found on the PATH" >&2; exit 1
endif

$(BUILD)/cubin_check: $(SIMT_TESTS)/cubin_check.cpp
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -O1 $(WARN) $< -o $@
$(BUILD)/cuda/%.cubin: $(CUDA_SRC)/%.cu $(CUDA_DEPS)
	@mkdir -p $(@D)
	$(NVCC) -std=c++17 -O3 -Iinclude -I$(CUDA_SRC) -arch=sm_90a -cubin $< -o $@
ifneq ($(NVCC),)
cuda-check: $(BUILD)/cubin_check $(BUILD)/cuda/attention_forward.cubin $(BUILD)/cuda/attention_backward.cubin
	$(BUILD)/cubin_check $(BUILD)/cuda/attention_forward.cubin attention_forward
	$(BUILD)/cubin_check $(BUILD)/cuda/attention_backward.cubin key_gradient query_gradient
else
cuda-check: ; @echo "no nvcc: the attention kernels' machine code is not checked"
endif

# ---- PTX: nvcc's objects, host code and kernels, above simt's runtime and a machine that runs their PTX, on a CPU with AVX2.
# How host code launches is CUDA 13's.
PTX_ARCH  ?= 90a
PTX_CXX    = $(NVCC) -DWB_PTX -Iinclude -Isimt -I$(CUDA_SRC) -Xcompiler -fPIC,-fvisibility=hidden,-ffunction-sections,-Wall,-Wextra,-Werror,-Wno-unknown-pragmas
# The machine's arithmetic is what it names: nothing is contracted. Half-precision conversions are the CPU's.
PTX_FLAGS := -std=c++20 -O3 -Xcompiler -mavx2,-mfma,-mf16c,-ffp-contract=off,-fno-math-errno,-fno-trapping-math
PTX_TESTS := ../tests/native/ptx
PTX_OBJ   := $(patsubst $(BUILD)/cuda/%,$(BUILD)/ptx/kernels/%,$(CUDA_OBJ)) $(patsubst ptx/%.cpp,$(BUILD)/ptx/%.o,$(wildcard ptx/*.cpp)) $(BUILD)/ptx/runtime.o
PTX_DEPS  := $(wildcard ptx/*.h) $(SIMT_DEPS)
PTX_CODE   = $(PTX_CXX) -std=c++17 -O3 -lineinfo -gencode arch=compute_$(PTX_ARCH),code=compute_$(PTX_ARCH) -no-compress

$(BUILD)/ptx/kernels/%.o: $(CUDA_SRC)/%.cu $(CUDA_DEPS)
	@mkdir -p $(@D)
	$(PTX_CODE) -c $< -o $@
$(BUILD)/ptx/%.o: ptx/%.cpp $(PTX_DEPS)
	@mkdir -p $(@D)
	$(PTX_CXX) $(PTX_FLAGS) -c $< -o $@
$(BUILD)/ptx/runtime.o: simt/runtime.cpp $(PTX_DEPS)
	@mkdir -p $(@D)
	$(PTX_CXX) -std=c++17 -O2 -c $< -o $@
# As the device cuda: like STANDIN_GPU.
STANDIN_PTX = $(STANDINS)/ptx/org/warpbert/backend/$(PLATFORM)/libwarpbert_cuda.so
$(STANDIN_PTX): $(PTX_OBJ)
	@mkdir -p $(@D)
	$(CXX) -o $@ $^ $(LDFLAGS)

$(BUILD)/ptx/test/%.o: $(SIMT_TESTS)/%.cpp $(SIMT_TEST_DEPS) $(PTX_DEPS)
	@mkdir -p $(@D)
	$(CXX) $(SIMT_FLAGS) -DWB_PTX_TEST -c $< -o $@
$(BUILD)/ptx/test/%.o: $(PTX_TESTS)/%.cu $(SIMT_TEST_DEPS) $(PTX_DEPS)
	@mkdir -p $(@D)
	$(PTX_CODE) -I$(SIMT_TESTS) -c $< -o $@
# Tests of the kernels are the same objects; those of simt itself, which hold kernels, are simt's.
PTX_TEST_OBJ := $(filter-out $(patsubst $(SIMT_TESTS)/%.cu,$(BUILD)/simt-test/%.o,$(wildcard $(SIMT_TESTS)/*.cu)) $(BUILD)/simt-test/simt_test.o,$(SIMT_TEST_OBJ)) \
                $(BUILD)/ptx/test/simt_test.o $(patsubst $(PTX_TESTS)/%.cu,$(BUILD)/ptx/test/%.o,$(wildcard $(PTX_TESTS)/*.cu))
$(BUILD)/ptx_test: $(PTX_TEST_OBJ) $(PTX_OBJ)
	$(CXX) -o $@ $^
ifneq ($(and $(NVCC),$(shell $(NVCC) --version 2>/dev/null | grep 'release 1[3-9]')),)
for-tests: $(STANDIN_PTX)
ptx-test: $(BUILD)/ptx_test
	$(BUILD)/ptx_test
else
ptx-test: ; @echo "no nvcc 13: the kernels' PTX is not run"
endif
.PHONY: ptx-test
