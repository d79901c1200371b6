package org.warpbert.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;
import org.warpbert.train.RunFolder;

/** A picture of a run: the loss of its steps on the left, what the dev set said on the right. */
final class TrainingPlot {
    private static final int WIDTH = 640; // of each half, pixels
    private static final int HEIGHT = 420;
    private static final Color FAINT = new Color(0xb9, 0xcd, 0xe6);
    private static final Color STRONG = new Color(0x1f, 0x4e, 0x9c);
    private static final Color[] COLORS = {STRONG, new Color(0x2a, 0x8c, 0x4a), new Color(0xb0, 0x5a, 0x1e), new Color(0x7a, 0x3f, 0x98),
        new Color(0x80, 0x80, 0x80)};

    private TrainingPlot() {}

    /** Draws {@code metrics.jsonl} and {@code summary.json} of a run folder to its {@code training.png}. @return the picture */
    static Path draw(Path run) {
        System.setProperty("java.awt.headless", "true");
        Path picture = run.resolve("training.png");
        try {
            List<XYChart> charts = new ArrayList<>();
            JsonNode summary = RunFolder.JSON.readTree(existing(run.resolve("summary.json")).toFile());
            charts.add(loss(existing(run.resolve("metrics.jsonl")), summary));
            if (summary.path("dev_examples").asInt() > 0) {
                charts.add(dev(summary));
            }
            BufferedImage image = new BufferedImage(WIDTH * charts.size(), HEIGHT, BufferedImage.TYPE_INT_RGB);
            for (int i = 0; i < charts.size(); i++) {
                Graphics2D part = (Graphics2D) image.getGraphics().create(i * WIDTH, 0, WIDTH, HEIGHT);
                charts.get(i).paint(part, WIDTH, HEIGHT);
                part.dispose();
            }
            ByteArrayOutputStream png = new ByteArrayOutputStream();
            ImageIO.write(image, "png", png);
            AtomicFile.write(picture, png.toByteArray());
            return picture;
        } catch (IOException e) {
            throw new WarpBertException(run + " cannot be drawn: " + AtomicFile.reason(e), e);
        }
    }

    private static Path existing(Path file) {
        if (!Files.exists(file)) {
            throw new WarpBertException(file + " does not exist; is " + file.getParent() + " a run folder?");
        }
        return file;
    }

    private static XYChart loss(Path metrics, JsonNode summary) throws IOException {
        List<Double> steps = new ArrayList<>();
        List<Double> losses = new ArrayList<>();
        for (String line : Files.readAllLines(metrics)) {
            JsonNode step = RunFolder.JSON.readTree(line);
            steps.add(step.path("step").asDouble());
            losses.add(step.path("loss").asDouble());
        }
        if (steps.isEmpty()) {
            throw new WarpBertException(metrics + " holds no step");
        }
        XYChart chart = chart(Path.of(summary.path("model").asText()).getFileName() + ", " + summary.path("task").asText(), "step", "training loss");
        line(chart, "each step", steps, losses, FAINT, false);
        List<Double> means = smoothed(losses);
        line(chart, "smoothed", withStart(steps, 0.5), withStart(means, means.get(0)), STRONG, false);
        chart.getStyler().setYAxisMin(0.0).setXAxisMin(0.0).setXAxisMax(steps.get(steps.size() - 1));
        chart.getStyler().setXAxisTickMarkSpacingHint(100).setXAxisDecimalPattern("0");
        return chart;
    }

    /** A point before the first: XChart labels equally spaced values without asking whether the labels have room. */
    private static List<Double> withStart(List<Double> values, double start) {
        List<Double> longer = new ArrayList<>(List.of(start));
        longer.addAll(values);
        return longer;
    }

    /** Exponential mean over about a fiftieth of the run, started unbiased. */
    private static List<Double> smoothed(List<Double> values) {
        double forget = 1.0 / Math.max(1, values.size() / 50);
        List<Double> means = new ArrayList<>(values.size());
        double sum = 0;
        double weight = 0;
        for (double value : values) {
            sum += forget * (value - sum);
            weight += forget * (1 - weight);
            means.add(sum / weight);
        }
        return means;
    }

    /** Metrics that are shares or correlations, and their baselines; where a task has none of these, the loss. */
    private static XYChart dev(JsonNode summary) {
        List<Double> epochs = new ArrayList<>();
        Map<String, List<Double>> lines = new LinkedHashMap<>();
        for (JsonNode epoch : summary.path("epochs")) {
            epochs.add(epoch.path("epoch").asDouble());
            epoch.path("metrics").fields().forEachRemaining(metric -> add(lines, metric.getKey(), metric.getValue().asDouble()));
            summary.path("baseline").fields().forEachRemaining(metric -> {
                if (metric.getValue().asDouble() != 0) {
                    add(lines, metric.getKey() + " without reading", metric.getValue().asDouble());
                }
            });
        }
        lines.values().removeIf(values -> values.stream().anyMatch(value -> Math.abs(value) > 1));
        boolean shares = !lines.isEmpty();
        if (!shares) {
            summary.path("epochs").forEach(epoch -> add(lines, "dev loss", epoch.path("dev_loss").asDouble()));
        }
        XYChart chart = chart("dev set", "epoch", "");
        int drawn = 0;
        for (Map.Entry<String, List<Double>> each : lines.entrySet()) {
            line(chart, each.getKey(), epochs, each.getValue(), COLORS[Math.min(drawn++, COLORS.length - 1)], true);
        }
        if (shares) {
            double least = lines.values().stream().flatMap(List::stream).min(Double::compare).orElse(0.0);
            chart.getStyler().setYAxisMin(Math.min(0, least)).setYAxisMax(1.0);
        }
        chart.getStyler().setXAxisDecimalPattern("0").setXAxisTickMarkSpacingHint(WIDTH / Math.max(2, epochs.size() + 1));
        return chart;
    }

    private static void add(Map<String, List<Double>> lines, String name, double value) {
        lines.computeIfAbsent(name, key -> new ArrayList<>()).add(value);
    }

    private static XYChart chart(String title, String x, String y) {
        XYChart chart = new XYChartBuilder().width(WIDTH).height(HEIGHT).title(title).xAxisTitle(x).yAxisTitle(y).build();
        chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideS).setLegendLayout(Styler.LegendLayout.Horizontal);
        chart.getStyler().setChartBackgroundColor(Color.WHITE).setLegendBorderColor(Color.WHITE);
        return chart;
    }

    private static void line(XYChart chart, String name, List<Double> x, List<Double> y, Color color, boolean points) {
        XYSeries series = chart.addSeries(name, x, y);
        series.setMarker(points ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE).setMarkerColor(color);
        series.setLineColor(color).setLineStyle(new BasicStroke(points ? 2f : 1.4f));
    }
}
