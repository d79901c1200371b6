package org.warpbert.text;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;

/** One JSON object a line. The first object names the columns. */
final class JsonLinesTable extends TextTable {
    private static final ObjectReader JSON = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .build().reader();

    private final Utf8Lines lines;
    private final List<String> names = new ArrayList<>();
    private Row first;

    JsonLinesTable(Utf8Lines lines) {
        super(lines.file());
        this.lines = lines;
        ObjectRow row = parse();
        if (row == null) {
            throw new WarpBertException(file() + " is empty.");
        }
        row.object.fieldNames().forEachRemaining(names::add);
        first = row;
    }

    @Override
    public Row next() {
        Row row = first == null ? parse() : first;
        first = null;
        return row;
    }

    private ObjectRow parse() {
        String text = lines.next();
        while (text != null && text.isBlank()) {
            text = lines.next();
        }
        if (text == null) {
            return null;
        }
        try {
            JsonNode object = JSON.readTree(text);
            if (!object.isObject()) {
                throw new WarpBertException(at(lines.line()) + "a JSON object {…} is expected, not "
                        + object.getNodeType().name().toLowerCase(Locale.ROOT) + ".");
            }
            return new ObjectRow(lines.line(), object);
        } catch (JsonProcessingException e) {
            if (text.startsWith("[")) {
                throw new WarpBertException(at(lines.line()) + "a JSON list begins here; JSON lines have an object {…} on each line.", e);
            }
            throw new WarpBertException(at(lines.line()) + "malformed JSON"
                    + (e.getLocation() == null ? "" : " at column " + e.getLocation().getColumnNr()) + ": " + AtomicFile.malformed(e), e);
        }
    }

    @Override
    public List<String> header() {
        return names;
    }

    @Override
    public int columns() {
        return names.size();
    }

    @Override
    public void close() {
        lines.close();
    }

    private final class ObjectRow implements Row {
        private final long line;
        private final JsonNode object;

        ObjectRow(long line, JsonNode object) {
            this.line = line;
            this.object = object;
        }

        @Override
        public long line() {
            return line;
        }

        /** Strings as they are, numbers and booleans as JSON writes them, null as an empty text. */
        @Override
        public String get(int column) {
            JsonNode value = value(column);
            if (value.isContainerNode()) {
                throw new WarpBertException(at(line) + "the value of '" + names.get(column)
                        + "' is a JSON array or object; a text or number is needed.");
            }
            return value.isNull() ? "" : value.asText();
        }

        @Override
        public List<String> list(int column) {
            JsonNode value = value(column);
            List<String> texts = new ArrayList<>();
            value.forEach(each -> texts.add(each.isTextual() ? each.asText() : null));
            if (!value.isArray() || texts.contains(null)) {
                throw new WarpBertException(at(line) + "the value of '" + names.get(column) + "' must be a list of texts.");
            }
            return texts;
        }

        @Override
        public List<String> list(int column, String separator) {
            JsonNode value = value(column);
            if (!value.isArray()) {
                return Row.super.list(column, separator);
            }
            List<String> texts = new ArrayList<>();
            for (JsonNode each : value) {
                if (each.isContainerNode() || each.isNull()) {
                    throw new WarpBertException(at(line) + "the list '" + names.get(column) + "' holds " + each + "; texts or numbers are needed.");
                }
                texts.add(each.asText().strip());
            }
            return texts.stream().filter(text -> !text.isEmpty()).toList();
        }

        private JsonNode value(int column) {
            JsonNode value = object.get(names.get(column));
            if (value == null) {
                throw new WarpBertException(at(line) + "there is no key '" + names.get(column) + "'.");
            }
            return value;
        }
    }
}
