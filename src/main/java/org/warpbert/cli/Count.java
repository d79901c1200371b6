package org.warpbert.cli;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** A whole number that is 1 or more: another is wrong usage, said before anything is read. */
class Count implements ITypeConverter<Integer> {
    private final int least;

    Count() {
        this(1);
    }

    private Count(int least) {
        this.least = least;
    }

    /** One that may be 0. */
    static final class OrNone extends Count {
        OrNone() {
            super(0);
        }
    }

    @Override
    public Integer convert(String text) {
        int count;
        try {
            count = Integer.parseInt(text);
        } catch (NumberFormatException e) { // whose own words picocli would show with its class
            throw new TypeConversionException("'" + text + "' is not an int");
        }
        if (count < least) {
            throw new TypeConversionException("it must be at least " + least + ", not " + text);
        }
        return count;
    }
}
