package org.jlatent.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import jcuda.jcublas.JCublas2;
import jcuda.jcudnn.JCudnn;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.DType;
import org.jlatent.Device;
import org.jlatent.DeviceException;
import org.jlatent.DeviceOutOfMemoryException;
import org.jlatent.JlatentException;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Sprites;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.nn.Init;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What NVIDIA's libraries are asked for, and what becomes of their errors, on the stubs of
 * native/stubs: they write down every call, and fail when told to.
 */
@Tag("stubs")
final class StubbedCudaTest {
    private final Stubs stubs = Stubs.clean();

    @AfterEach
    void forget() {
        stubs.forget();
    }

    static Tensor product(Scope scope, DType dtype) {
        return Ops.matmul(
                scope,
                scope.empty(Shape.of(3, 5), dtype),
                false,
                scope.empty(Shape.of(7, 5), dtype),
                true,
                null,
                Activation.IDENTITY);
    }

    static Tensor convolution(Scope scope, DType dtype) {
        return ConvOps.forward(
                scope,
                scope.empty(Shape.of(2, 6, 6, 4), dtype),
                scope.empty(Shape.of(8, 3, 3, 4), dtype),
                null,
                ConvOps.Options.plain().withPadding(1, 1),
                Activation.IDENTITY);
    }

    @Test
    void tf32IsOptedInto() {
        for (boolean tf32 : new boolean[] {false, true}) {
            stubs.forgetCalls();
            CudaOptions options = CudaOptions.defaults().withTf32(tf32);
            try (Device cuda = Cuda.open(options);
                    Scope scope = new Scope(cuda)) {
                product(scope, DType.F32);
                convolution(scope, DType.F32);
                product(scope, DType.BF16);
                convolution(scope, DType.BF16);
            }
            // out^T [7,3] = b [7,5] a^T [5,3]: b is stored [7,5], so transposed to a column-major
            // eye
            String shape = "op 1 0 m 7 n 3 k 5 ld 5 5 7 ";
            assertEquals(
                    List.of(
                            shape + "types 0 0 0 compute " + (tf32 ? 77 : 69) + " algorithm -1",
                            shape + "types 14 14 14 compute 68 algorithm -1"),
                    stubs.calls("cublasGemmEx"));
            String conv = " format 1 x 2x6x6x4 w 8x3x3x4 pad 1 1 stride 1 1 dilation 1 1 groups 1";
            assertEquals(
                    List.of(
                            "type 0" + conv + " math " + (tf32 ? 0 : 3),
                            "type 9" + conv + " math 1"),
                    stubs.calls("cudnnConvolutionForward"));
        }
    }

    @Test
    void everythingMadeIsGivenBack() {
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            for (int time = 0; time < 3; time++) {
                product(scope, DType.F32);
                convolution(scope, DType.F32);
            }
        }
        String[][] pairs = {
            {"cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease"},
            {"cuStreamCreate", "cuStreamDestroy"},
            {"cuMemAllocAsync", "cuMemFreeAsync"},
            {"cublasCreate", "cublasDestroy"},
            {"cudnnCreate", "cudnnDestroy"},
            {"cudnnCreateTensorDescriptor", "cudnnDestroyTensorDescriptor"},
            {"cudnnCreateFilterDescriptor", "cudnnDestroyFilterDescriptor"},
            {"cudnnCreateConvolutionDescriptor", "cudnnDestroyConvolutionDescriptor"}
        };
        for (String[] pair : pairs) {
            assertEquals(stubs.calls(pair[0]).size(), stubs.calls(pair[1]).size(), pair[0]);
            assertFalse(stubs.calls(pair[0]).isEmpty(), pair[0]);
        }
        assertEquals(1, stubs.calls("cublasCreate").size());
        assertEquals(1, stubs.calls("cudnnCreate").size());
        assertEquals(1, stubs.calls("cudnnGetConvolutionForwardAlgorithm").size(), "planned once");
    }

    @Test
    void withoutPoolsMemoryComesDirectly() {
        stubs.answer("no_memory_pools 1");
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            assertEquals(1, scope.filled(Shape.of(3), 1).toFloatArray()[2]);
        }
        assertEquals(1, stubs.calls("cuMemAlloc").size());
        assertEquals(1, stubs.calls("cuMemFree").size());
        assertTrue(stubs.calls("cuMemAllocAsync").isEmpty());
    }

    /** The first step of a batch size is eager, then each of two graphs is recorded once. */
    @Test
    void aStepIsOneLaunch() {
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            VaeConfig config = VaeConfig.defaults().withHidden(4).withLatent(2);
            ImageSet images = Sprites.splits().train().range(0, 4);
            Vae vae = new Vae(new Init(scope, 1), images.shape(), config, 1);
            Trainer.of(vae).data(images).batchSize(2).steps(6).train();
        }
        assertEquals(5, stubs.calls("cuGraphLaunch").size());
        assertEquals(2, stubs.calls("cuStreamBeginCapture").size());
        for (String kind : new String[] {"cuGraph", "cuGraphExec"}) {
            assertEquals(2, stubs.calls(kind + "Destroy").size(), kind);
        }
        assertEquals(stubs.calls("cuMemHostAlloc").size(), stubs.calls("cuMemFreeHost").size());
        assertEquals(stubs.calls("cuEventCreate").size(), stubs.calls("cuEventDestroy").size());
        int eager = stubs.calls("cublasGemmEx").size() / 3; // one step of its own, two recorded
        assertTrue(eager > 8, () -> eager + " products a step");
    }

    /** Where cuDNN has nothing for NHWC, arrays are transposed there and back. */
    @Test
    void withoutNhwcConvolutionsAreTransposed() {
        ConvOps.Options options = ConvOps.Options.plain().withPadding(1, 0, 0, 1).withGroups(2);
        float[][][] results = new float[2][][];
        for (int nchw = 0; nchw < 2; nchw++) {
            if (nchw == 1) {
                stubs.answer("nhwc 3000");
            }
            try (Device cuda = Cuda.open();
                    Scope scope = new Scope(cuda)) {
                Tensor x = scope.of(Shape.of(2, 5, 4, 4), waves(160));
                Tensor weight = scope.of(Shape.of(6, 2, 3, 2), waves(72));
                Tensor y = ConvOps.forward(scope, x, weight, null, options, Activation.IDENTITY);
                results[nchw] =
                        new float[][] {
                            y.toFloatArray(),
                            ConvOps.weightGradient(scope, x, y, weight.shape(), options)
                                    .toFloatArray(),
                            ConvOps.transposed(
                                            scope,
                                            y,
                                            weight,
                                            null,
                                            x.shape(),
                                            options,
                                            Activation.IDENTITY)
                                    .toFloatArray()
                        };
            }
        }
        for (int i = 0; i < 3; i++) {
            assertArrayEquals(results[0][i], results[1][i]);
        }
        assertEquals(9, stubs.calls("cudnnTransformTensor").size());
    }

    private static float[] waves(int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) Math.sin(1.3 * i);
        }
        return values;
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "cuInit 100",
                "cuDeviceGet 101",
                "cuDevicePrimaryCtxRetain 2",
                "cuDeviceGetName 1",
                "cuStreamCreate 1"
            })
    void aDeviceThatDoesNotOpenLeavesNothing(String answer) {
        stubs.answer(answer);
        DeviceException e = assertThrows(DeviceException.class, Cuda::open);
        assertTrue(
                e.getMessage().contains("the stub was told to fail")
                        || e.getMessage().contains("out of memory"),
                e.getMessage());
        int retained =
                answer.startsWith("cuDevicePrimaryCtxRetain")
                        ? 0
                        : stubs.calls("cuDevicePrimaryCtxRetain").size();
        assertEquals(retained, stubs.calls("cuDevicePrimaryCtxRelease").size());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "cublasCreate 1",
                "cublasSetStream 1",
                "cublasSetWorkspace 7",
                "cudnnCreate 1002",
                "cudnnSetStream 3"
            })
    void aLibraryThatDoesNotStartIsNamedAndNothingHangs(String answer) {
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            stubs.answer(answer);
            DeviceException e =
                    assertThrows(DeviceException.class, () -> product(scope, DType.F32));
            assertTrue(
                    e.getMessage().contains(answer.startsWith("cublas") ? "cuBLAS" : "cuDNN"),
                    e.getMessage());
            stubs.answer("");
            product(scope, DType.F32); // the next call starts anew
        }
        assertEquals(stubs.calls("cuMemAllocAsync").size(), stubs.calls("cuMemFreeAsync").size());
    }

    @Test
    void aFailedProductIsNamed() {
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            stubs.answer("cublasGemmEx 13");
            DeviceException e =
                    assertThrows(DeviceException.class, () -> product(scope, DType.F32));
            assertEquals(
                    "matmul on cuda: the stub was told to fail (CUBLAS_STATUS_OF_THE_STUB)",
                    e.getMessage());
        }
    }

    @Test
    void aFailedConvolutionIsNamedInCudnnsOwnWords() {
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            stubs.answer("cudnnConvolutionForward 3000");
            DeviceException e =
                    assertThrows(DeviceException.class, () -> convolution(scope, DType.F32));
            assertEquals(
                    "convolution, FORWARD on cuda: CUDNN_STATUS_NOT_SUPPORTED (3000)",
                    e.getMessage());
        }
    }

    @Test
    void memoryThatIsNotThereIsCounted() {
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            scope.empty(Shape.of(1 << 20));
            DeviceOutOfMemoryException e =
                    assertThrows(
                            DeviceOutOfMemoryException.class, () -> scope.empty(Shape.of(1 << 30)));
            assertTrue(
                    e.getMessage()
                            .startsWith(
                                    "out of memory on cuda (stub): 4294967296 bytes asked for, 4194304 held already, "),
                    e.getMessage());
            assertTrue(e.getMessage().contains(" of 1073741824 free"), e.getMessage());
            scope.empty(Shape.of(4)); // goes on
        }
    }

    /** Programs that use JCuda themselves have its exceptions on, as a rule. */
    @Test
    void errorsAreTheSameWithJcudasOwnExceptions() {
        JCudaDriver.setExceptionsEnabled(true);
        JCublas2.setExceptionsEnabled(true);
        JCudnn.setExceptionsEnabled(true);
        try {
            memoryThatIsNotThereIsCounted();
            try (Device cuda = Cuda.open();
                    Scope scope = new Scope(cuda)) {
                stubs.answer("cublasGemmEx 13");
                DeviceException e =
                        assertThrows(DeviceException.class, () -> product(scope, DType.F32));
                assertEquals("matmul on cuda: CUBLAS_STATUS_EXECUTION_FAILED", e.getMessage());
                stubs.answer("cudnnConvolutionForward 3000");
                e = assertThrows(DeviceException.class, () -> convolution(scope, DType.F32));
                assertTrue(e.getMessage().startsWith("convolution, FORWARD on cuda: "));
                assertTrue(e.getMessage().contains("3000"), e.getMessage());
            }
        } finally {
            JCudaDriver.setExceptionsEnabled(false);
            JCublas2.setExceptionsEnabled(false);
            JCudnn.setExceptionsEnabled(false);
        }
    }

    @Test
    void aCallersContextStreamAndMemoryAreUsedAndLeftAlone() {
        CUcontext context = new CUcontext();
        CUstream stream = new CUstream();
        CUdevice device = new CUdevice();
        JCudaDriver.cuDeviceGet(device, 0);
        JCudaDriver.cuDevicePrimaryCtxRetain(context, device);
        JCudaDriver.cuCtxSetCurrent(context);
        JCudaDriver.cuStreamCreate(stream, 0);
        CUdeviceptr memory = new CUdeviceptr();
        JCudaDriver.cuMemAlloc(memory, 12);
        stubs.forgetCalls();
        try (Device cuda = Cuda.open(CudaOptions.defaults().within(context, stream));
                Scope scope = new Scope(cuda)) {
            assertSame(context, Cuda.context(cuda));
            assertSame(stream, Cuda.stream(cuda));
            Tensor x = Cuda.wrap(cuda, memory, 12, Shape.of(3), DType.F32);
            x.copyFrom(1, 2, 3);
            Tensor sum = Ops.add(scope, x, x);
            assertArrayEquals(new float[] {2, 4, 6}, sum.toFloatArray());
            float[] read = new float[3];
            JCudaDriver.cuMemcpyDtoHAsync(
                    Pointer.to(read),
                    new CUdeviceptr().withByteOffset(Address.of(Cuda.pointer(sum))),
                    12,
                    stream);
            assertArrayEquals(new float[] {2, 4, 6}, read);
            IllegalArgumentException e =
                    assertThrows(
                            IllegalArgumentException.class,
                            () ->
                                    Cuda.wrap(
                                            cuda,
                                            Pointer.to(new float[3]),
                                            12,
                                            Shape.of(3),
                                            DType.F32));
            assertTrue(e.getMessage().contains("address 0"), e.getMessage());
        }
        assertTrue(stubs.calls("cuStreamDestroy").isEmpty());
        assertTrue(stubs.calls("cuDevicePrimaryCtxRelease").isEmpty());
        assertTrue(stubs.calls("cuMemFree").isEmpty());
        assertEquals(0, JCudaDriver.cuMemFree(memory));
        try (Device cpu = Device.cpu()) {
            assertThrows(IllegalArgumentException.class, () -> Cuda.stream(cpu));
        }
        assertThrows(IllegalArgumentException.class, () -> new CudaOptions(false, null, stream));
    }

    /** As where the driver is too old for the newest CUDA. */
    @Test
    void theNextKernelLibraryServesWhereTheNewestDoesNotOpen(@TempDir Path folder)
            throws IOException {
        Path refused = Files.writeString(folder.resolve("libjlatent_cuda13.so"), "not a library");
        Path emulated = CudaNatives.kernels().get(0);
        CudaLibraries.Kernels opened = CudaLibraries.openKernels(List.of(refused, emulated));
        assertEquals("libjlatent_emulated.so", opened.library());
        JlatentException e =
                assertThrows(
                        JlatentException.class,
                        () -> CudaLibraries.openKernels(List.of(refused, refused)));
        assertTrue(e.getMessage().contains("libjlatent_cuda13.so"), e.getMessage());
    }

    /** A device goes from thread to thread: the context is made current wherever it is used. */
    @Test
    void anotherThreadMayTakeADeviceOver() throws Exception {
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            Tensor x = scope.of(Shape.of(2), 1, 2);
            float[][] seen = new float[1][];
            Thread other = new Thread(() -> seen[0] = Ops.add(scope, x, x).toFloatArray());
            other.start();
            other.join();
            assertArrayEquals(new float[] {2, 4}, seen[0]);
        }
    }
}
