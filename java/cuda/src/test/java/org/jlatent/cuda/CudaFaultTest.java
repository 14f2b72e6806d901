package org.jlatent.cuda;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.jlatent.DType;
import org.jlatent.Device;
import org.jlatent.DeviceException;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Sprites;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.nn.Init;
import org.jlatent.spi.Dense;
import org.jlatent.spi.Dense.MatmulShape;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * An illegal access of some kernel. On the stubs, which do work when somebody waits for it, and
 * nothing any more after a fault.
 */
@Tag("stubs")
final class CudaFaultTest {
    private static final String ILLEGAL =
            " on cuda: an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS);"
                    + " work queued before has failed with CUDA_ERROR_ILLEGAL_ADDRESS, and nothing"
                    + " more will run on this device: it was ";

    private final Stubs stubs = Stubs.clean();

    @AfterEach
    void forget() {
        stubs.forget();
    }

    @ParameterizedTest
    @CsvSource({"1, add", "2, matmul", "3, scale", "4, 'convolution, FORWARD'", "5, add"})
    void theNextCheckNamesTheOperation(int kernel, String operation) {
        Device cuda = Cuda.open();
        Scope scope = new Scope(cuda);
        Tensor x = scope.of(Shape.of(2), 1, 2);
        Tensor two = scope.scalar(2);
        x.toFloatArray();
        stubs.answer("kernel_fault " + kernel);
        Ops.add(scope, x, x);
        StubbedCudaTest.product(scope, DType.F32);
        Ops.scale(scope, x, two);
        StubbedCudaTest.convolution(scope, DType.F32);
        Tensor last = Ops.add(scope, x, x);
        DeviceException e = assertThrows(DeviceException.class, last::toFloatArray);
        assertEquals("copy from the device" + ILLEGAL + operation, e.getMessage());
        assertThrows(DeviceException.class, () -> scope.of(Shape.of(2), 1, 2));
        assertDoesNotThrow(scope::close);
        assertDoesNotThrow(cuda::close);
        stubs.answer("");
        try (Device another = Cuda.open();
                Scope next = new Scope(another)) {
            assertEquals(4, Ops.add(next, next.scalar(2), next.scalar(2)).toFloatArray()[0]);
        }
    }

    /** cuBLAS says nothing but that it could not do its own work. */
    @Test
    void whatFailsAfterAFaultSaysSo() {
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            Tensor x = StubbedCudaTest.product(scope, DType.F32); // cuBLAS has its memory
            MatmulShape shape = new MatmulShape(3, 3, 7, false, true, 0, 0, 0);
            long a = x.address();
            long out = scope.empty(Shape.of(3, 3)).address();
            x.toFloatArray();
            Dense dense = cuda.backend().dense();
            Ops.add(scope, x, x);
            stubs.answer("fault 700\ncublasGemmEx 13");
            DeviceException e =
                    assertThrows(DeviceException.class, () -> dense.matmul(shape, a, a, 0, out));
            assertTrue(e.getMessage().startsWith("matmul on cuda: "), e.getMessage());
            assertTrue(e.getMessage().endsWith("it was add"), e.getMessage());
            stubs.answer("");
        }
    }

    @Test
    void aFaultInARecordedStepIsOne() {
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            VaeConfig config = VaeConfig.defaults().withHidden(4).withLatent(2);
            ImageSet images = Sprites.splits().train().range(0, 4);
            Vae vae = new Vae(new Init(scope, 1), images.shape(), config, 1);
            Trainer trainer = Trainer.of(vae).data(images).batchSize(2).steps(6);
            stubs.answer("kernel_fault 100");
            DeviceException e = assertThrows(DeviceException.class, trainer::train);
            assertTrue(e.getMessage().contains("it was a recorded step"), e.getMessage());
            assertTrue(e.getMessage().contains("CUDA_LAUNCH_BLOCKING"), e.getMessage());
        }
    }

    /** A stream of the caller's gets nothing but the work; a driver may know no such writes. */
    @Test
    void withoutProgressTheMessageSaysHowToLearnTheName() {
        stubs.answer("cuStreamWriteValue32 801");
        try (Device cuda = Cuda.open();
                Scope scope = new Scope(cuda)) {
            Tensor x = scope.of(Shape.of(2), 1, 2);
            Tensor sum = Ops.add(scope, x, x);
            Ops.add(scope, x, x);
            assertEquals(1, stubs.calls("cuStreamWriteValue32").size(), "not tried again");
            stubs.answer("fault 700");
            DeviceException e = assertThrows(DeviceException.class, sum::toFloatArray);
            assertTrue(e.getMessage().contains("CUDA_LAUNCH_BLOCKING"), e.getMessage());
            stubs.answer("");
        }
    }
}
