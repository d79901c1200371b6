package org.warpbert.train;

import java.util.List;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.LossTerm;
import org.warpbert.model.OutputRows;
import org.warpbert.model.ParameterBuffers;
import org.warpbert.model.Pass;
import org.warpbert.model.PassPlan;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.PackedBatch;

/** A classifier whose backward once, at its nth call, finds no memory: as a library that wants more in the middle of a step. */
final class RefusingHead implements Head {
    private final ClassificationHead head = new ClassificationHead(2);
    private int left;

    RefusingHead(int nth) {
        left = nth;
    }

    @Override
    public void plan(Arena arena, BertConfig config, PassPlan plan) {
        head.plan(arena, config, plan);
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        head.bind(buffers);
    }

    @Override
    public OutputRows outputRows() {
        return head.outputRows();
    }

    @Override
    public void forward(Pass pass) {
        head.forward(pass);
    }

    @Override
    public double normaliser(PackedBatch batch, int term) {
        return head.normaliser(batch, term);
    }

    @Override
    public void backward(Pass pass, float[] gradientScales) {
        head.backward(pass, gradientScales);
        if (--left == 0) {
            throw new OutOfDeviceMemory("no workspace for a product");
        }
    }

    @Override
    public List<LossTerm> lossTerms() {
        return head.lossTerms();
    }
}
