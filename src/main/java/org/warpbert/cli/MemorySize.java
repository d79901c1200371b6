package org.warpbert.cli;

import org.warpbert.WarpBertException;
import org.warpbert.memory.ByteSize;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** The value of {@code --memory}. */
final class MemorySize implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
        try {
            return ByteSize.parse(text);
        } catch (WarpBertException e) {
            throw new TypeConversionException(e.getMessage());
        }
    }
}
