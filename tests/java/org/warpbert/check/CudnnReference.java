package org.warpbert.check;

import static org.bytedeco.cuda.global.cudnn.CUDNN_ACTIVATION_RELU;
import static org.bytedeco.cuda.global.cudnn.CUDNN_ACTIVATION_TANH;
import static org.bytedeco.cuda.global.cudnn.CUDNN_DATA_FLOAT;
import static org.bytedeco.cuda.global.cudnn.CUDNN_PROPAGATE_NAN;
import static org.bytedeco.cuda.global.cudnn.CUDNN_SOFTMAX_ACCURATE;
import static org.bytedeco.cuda.global.cudnn.CUDNN_SOFTMAX_MODE_CHANNEL;
import static org.bytedeco.cuda.global.cudnn.CUDNN_TENSOR_NCHW;
import static org.bytedeco.cuda.global.cudnn.cudnnActivationBackward;
import static org.bytedeco.cuda.global.cudnn.cudnnActivationForward;
import static org.bytedeco.cuda.global.cudnn.cudnnCreate;
import static org.bytedeco.cuda.global.cudnn.cudnnCreateActivationDescriptor;
import static org.bytedeco.cuda.global.cudnn.cudnnCreateTensorDescriptor;
import static org.bytedeco.cuda.global.cudnn.cudnnDestroy;
import static org.bytedeco.cuda.global.cudnn.cudnnDestroyActivationDescriptor;
import static org.bytedeco.cuda.global.cudnn.cudnnDestroyTensorDescriptor;
import static org.bytedeco.cuda.global.cudnn.cudnnGetErrorString;
import static org.bytedeco.cuda.global.cudnn.cudnnGetVersion;
import static org.bytedeco.cuda.global.cudnn.cudnnSetActivationDescriptor;
import static org.bytedeco.cuda.global.cudnn.cudnnSetStream;
import static org.bytedeco.cuda.global.cudnn.cudnnSetTensor4dDescriptor;
import static org.bytedeco.cuda.global.cudnn.cudnnSoftmaxBackward;
import static org.bytedeco.cuda.global.cudnn.cudnnSoftmaxForward;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.cudnn.cudnnActivationStruct;
import org.bytedeco.cuda.cudnn.cudnnContext;
import org.bytedeco.cuda.cudnn.cudnnTensorStruct;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.CudaLibraries;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;

/**
 * NVIDIA's cuDNN on the same device, beside our kernels: softmax forward and backward beside the loss and the gradient of
 * cross_entropy, tanh and ReLU forward and backward beside bias_activation. It works on our stream, each in its turn.
 */
final class CudnnReference implements AutoCloseable {
    /** What its bindings are linked with, in the order in which they need each other. */
    private static final List<String> LIBRARIES = List.of("libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9", "libcudnn_adv.so.9");
    private static final int ROWS = 97;
    private static final int COLUMNS = 1025;
    private static final int SIZE = ROWS * COLUMNS;
    private static final double ALLOWED = 2e-6; // of two float32 sums of 1,025 terms, and exp and tanh of some ulp

    private final Backend backend;
    private final cudnnContext handle = new cudnnContext();
    private final cudnnTensorStruct tensor = new cudnnTensorStruct(); // [ROWS, COLUMNS, 1, 1]
    private final FloatPointer one = new FloatPointer(1f);
    private final FloatPointer zero = new FloatPointer(0f);
    private final Map<String, Object> figures = new LinkedHashMap<>();

    private CudnnReference(Backend backend) {
        this.backend = backend;
    }

    /** Why it cannot be used, or null: cuDNN loads the rest of its libraries now. */
    private String open() {
        int status = cudnnCreate(handle);
        return status == 0 ? null : cudnnGetErrorString(status).getString();
    }

    private void prepare() {
        ok(cudnnSetStream(handle, new CUstream_st(at(backend.stream()))));
        ok(cudnnCreateTensorDescriptor(tensor));
        ok(cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, ROWS, COLUMNS, 1, 1));
    }

    static Found check(String device) {
        if (!device.equals("cuda")) {
            return Found.skipped("cuDNN needs a GPU");
        }
        try (Backend backend = Backends.open(device, 0)) { // first: it makes the device current
            try {
                CudaLibraries.loadFromElsewhere(LIBRARIES);
                Loader.load(org.bytedeco.cuda.presets.cudnn.class);
            } catch (LinkageError e) {
                return Found.skipped("cuDNN cannot be loaded: " + (e.getCause() != null ? e.getCause() : e).getMessage());
            }
            try (CudnnReference cudnn = new CudnnReference(backend)) {
                String missing = cudnn.open();
                if (missing != null) {
                    return Found.skipped("cuDNN cannot be used here: " + missing);
                }
                cudnn.prepare();
                cudnn.softmax();
                cudnn.activation("tanh", Activation.TANH, CUDNN_ACTIVATION_TANH);
                cudnn.activation("relu", Activation.RELU, CUDNN_ACTIVATION_RELU);
                return cudnn.judge();
            }
        }
    }

    private Found judge() {
        String version = String.valueOf(cudnnGetVersion()); // 91900 is 9.19.0
        double worst = figures.values().stream().mapToDouble(error -> (double) error).max().orElseThrow();
        boolean agrees = figures.values().stream().allMatch(error -> (double) error <= ALLOWED);
        String detail = "cuDNN " + version + ", [" + ROWS + ", " + COLUMNS + "] float32: relative error at most " + worst + " (" + ALLOWED + " allowed)";
        figures.put("cudnn_version", version);
        return agrees ? Found.passed(detail, figures) : Found.failed(detail, figures);
    }

    /**
     * With p = softmax(x) by cuDNN, loss[n] = -log p[n, label]; and the gradient of that by its softmax backward, which takes
     * dp = -1 / p at the label and 0 elsewhere.
     */
    private void softmax() {
        SplittableRandom random = new SplittableRandom(3);
        int[] labels = random.ints(ROWS, 0, COLUMNS).toArray();
        try (DeviceMemory x = floats(random(1)); DeviceMemory p = memory(SIZE); DeviceMemory dp = memory(SIZE); DeviceMemory theirs = memory(SIZE);
                DeviceMemory ours = memory(SIZE); DeviceMemory loss = memory(ROWS); DeviceMemory target = memory(ROWS)) {
            target.upload(labels);
            backend.crossEntropy(Dtype.F32, loss.address(), ours.address(), x.address(), target.address(), 0, 0, -100, 1, ROWS, COLUMNS, COLUMNS);
            backend.synchronize();
            ok(cudnnSoftmaxForward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_CHANNEL, one, tensor, at(x), zero, tensor, at(p)));
            float[] probabilities = read(p);
            float[] upstream = new float[SIZE];
            float[] losses = new float[ROWS];
            for (int n = 0; n < ROWS; n++) {
                int label = n * COLUMNS + labels[n];
                losses[n] = (float) -Math.log(probabilities[label]);
                upstream[label] = -1 / probabilities[label];
            }
            dp.upload(upstream);
            backend.synchronize();
            ok(cudnnSoftmaxBackward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_CHANNEL, one, tensor, at(p), tensor, at(dp), zero, tensor, at(theirs)));
            compare("softmax forward", losses, loss.downloadFloats(0, ROWS));
            compare("softmax backward", read(theirs), read(ours));
        }
    }

    private void activation(String name, Activation activation, int mode) {
        cudnnActivationStruct what = new cudnnActivationStruct();
        ok(cudnnCreateActivationDescriptor(what));
        try (DeviceMemory x = floats(random(4)); DeviceMemory dy = floats(random(5)); DeviceMemory y = memory(SIZE); DeviceMemory dx = memory(SIZE);
                DeviceMemory ourY = memory(SIZE); DeviceMemory ourDx = memory(SIZE)) {
            ok(cudnnSetActivationDescriptor(what, mode, CUDNN_PROPAGATE_NAN, 0));
            backend.biasActivationForward(Dtype.F32, ourY.address(), x.address(), 0, activation, ROWS, COLUMNS);
            backend.biasActivationBackward(Dtype.F32, ourDx.address(), 0, 0, dy.address(), x.address(), 0, activation, ROWS, COLUMNS);
            backend.synchronize();
            ok(cudnnActivationForward(handle, what, one, tensor, at(x), zero, tensor, at(y)));
            ok(cudnnActivationBackward(handle, what, one, tensor, at(y), tensor, at(dy), tensor, at(x), zero, tensor, at(dx)));
            compare(name + " forward", read(y), read(ourY));
            compare(name + " backward", read(dx), read(ourDx));
        } finally {
            cudnnDestroyActivationDescriptor(what);
        }
    }

    private void compare(String name, float[] theirs, float[] ours) {
        double squares = 0;
        double size = 0;
        for (int i = 0; i < theirs.length; i++) {
            squares += Math.pow((double) ours[i] - theirs[i], 2);
            size += Math.pow(theirs[i], 2);
        }
        figures.put(name, Math.sqrt(squares / size));
    }

    /** Normally distributed. */
    private static float[] random(long seed) {
        java.util.Random random = new java.util.Random(seed);
        float[] values = new float[SIZE];
        for (int i = 0; i < SIZE; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private DeviceMemory memory(int floats) {
        return backend.allocate("a tensor beside cuDNN", (long) floats * Float.BYTES);
    }

    private DeviceMemory floats(float[] values) {
        DeviceMemory memory = memory(values.length);
        memory.upload(values);
        return memory;
    }

    private float[] read(DeviceMemory memory) {
        return memory.downloadFloats(0, SIZE);
    }

    private static Pointer at(DeviceMemory memory) {
        return at(memory.address());
    }

    private static Pointer at(long where) {
        return new Pointer() {
            {
                address = where;
            }
        };
    }

    private static void ok(int status) {
        if (status != 0) {
            throw new AssertionError("cuDNN says " + cudnnGetErrorString(status).getString());
        }
    }

    @Override
    public void close() {
        if (!handle.isNull()) {
            cudnnDestroyTensorDescriptor(tensor);
            cudnnDestroy(handle);
        }
    }
}
