package org.jlatent.cuda;

import static jcuda.jcudnn.cudnnDeterminism.CUDNN_DETERMINISTIC;

import java.util.ArrayList;
import java.util.List;
import jcuda.jcudnn.JCudnn;
import jcuda.jcudnn.cudnnConvolutionBwdDataAlgoPerf;
import jcuda.jcudnn.cudnnConvolutionBwdFilterAlgoPerf;
import jcuda.jcudnn.cudnnConvolutionDescriptor;
import jcuda.jcudnn.cudnnConvolutionFwdAlgoPerf;
import jcuda.jcudnn.cudnnFilterDescriptor;
import jcuda.jcudnn.cudnnHandle;
import jcuda.jcudnn.cudnnTensorDescriptor;
import org.jlatent.cuda.CudnnPlan.Pass;

/**
 * What cuDNN's heuristic proposes for a convolution: three lists of one kind, one for each pass.
 */
record CudnnAlgorithms(
        cudnnHandle handle,
        Pass pass,
        cudnnTensorDescriptor x,
        cudnnFilterDescriptor weight,
        cudnnConvolutionDescriptor convolution,
        cudnnTensorDescriptor y) {

    private static final int MOST = 8; // more than any pass has

    /**
     * @param number cuDNN's name for it
     */
    record Candidate(int number, int status, int determinism, long workspaceBytes) {
        boolean runs() {
            return status == 0;
        }

        boolean deterministic() {
            return determinism == CUDNN_DETERMINISTIC;
        }

        Candidate withWorkspace(long bytes) {
            return new Candidate(number, status, determinism, bytes);
        }
    }

    /** Fastest first, as cuDNN expects. */
    List<Candidate> list() {
        return switch (pass) {
            case FORWARD -> forward();
            case BACKWARD_DATA -> backwardData();
            case BACKWARD_WEIGHT -> backwardWeight();
        };
    }

    private List<Candidate> forward() {
        cudnnConvolutionFwdAlgoPerf[] found = new cudnnConvolutionFwdAlgoPerf[MOST];
        for (int i = 0; i < MOST; i++) {
            found[i] = new cudnnConvolutionFwdAlgoPerf();
        }
        int[] count = new int[1];
        check(
                () ->
                        JCudnn.cudnnGetConvolutionForwardAlgorithm_v7(
                                handle, x, weight, convolution, y, MOST, count, found));
        List<Candidate> list = new ArrayList<>();
        for (int i = 0; i < count[0]; i++) {
            cudnnConvolutionFwdAlgoPerf a = found[i];
            list.add(new Candidate(a.algo, a.status, a.determinism, 0));
        }
        return list;
    }

    private List<Candidate> backwardData() {
        cudnnConvolutionBwdDataAlgoPerf[] found = new cudnnConvolutionBwdDataAlgoPerf[MOST];
        for (int i = 0; i < MOST; i++) {
            found[i] = new cudnnConvolutionBwdDataAlgoPerf();
        }
        int[] count = new int[1];
        check(
                () ->
                        JCudnn.cudnnGetConvolutionBackwardDataAlgorithm_v7(
                                handle, weight, y, convolution, x, MOST, count, found));
        List<Candidate> list = new ArrayList<>();
        for (int i = 0; i < count[0]; i++) {
            cudnnConvolutionBwdDataAlgoPerf a = found[i];
            list.add(new Candidate(a.algo, a.status, a.determinism, 0));
        }
        return list;
    }

    private List<Candidate> backwardWeight() {
        cudnnConvolutionBwdFilterAlgoPerf[] found = new cudnnConvolutionBwdFilterAlgoPerf[MOST];
        for (int i = 0; i < MOST; i++) {
            found[i] = new cudnnConvolutionBwdFilterAlgoPerf();
        }
        int[] count = new int[1];
        check(
                () ->
                        JCudnn.cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                                handle, x, y, convolution, weight, MOST, count, found));
        List<Candidate> list = new ArrayList<>();
        for (int i = 0; i < count[0]; i++) {
            cudnnConvolutionBwdFilterAlgoPerf a = found[i];
            list.add(new Candidate(a.algo, a.status, a.determinism, 0));
        }
        return list;
    }

    /** What an algorithm needs; -1 if it does not run after all. */
    long workspaceBytes(int number) {
        long[] bytes = new long[1];
        boolean runs =
                CudaErrors.succeeds(
                        () ->
                                switch (pass) {
                                    case FORWARD ->
                                            JCudnn.cudnnGetConvolutionForwardWorkspaceSize(
                                                    handle,
                                                    x,
                                                    weight,
                                                    convolution,
                                                    y,
                                                    number,
                                                    bytes);
                                    case BACKWARD_DATA ->
                                            JCudnn.cudnnGetConvolutionBackwardDataWorkspaceSize(
                                                    handle,
                                                    weight,
                                                    y,
                                                    convolution,
                                                    x,
                                                    number,
                                                    bytes);
                                    case BACKWARD_WEIGHT ->
                                            JCudnn.cudnnGetConvolutionBackwardFilterWorkspaceSize(
                                                    handle,
                                                    x,
                                                    y,
                                                    convolution,
                                                    weight,
                                                    number,
                                                    bytes);
                                });
        return runs ? bytes[0] : -1;
    }

    private static void check(CudaErrors.Call call) {
        CudaErrors.cudnn("choose how to convolve", call);
    }
}
