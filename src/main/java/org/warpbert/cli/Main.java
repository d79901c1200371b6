package org.warpbert.cli;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.warpbert.WarpBertException;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code warpbert} command. */
@Command(name = "warpbert", versionProvider = Version.class, sortOptions = false,
        description = "Fine-tune and run BERT from Java.",
        footer = {"", "Try: warpbert demo", "warpbert gpu-check tests a GPU and times it (in a checkout, and in packages with CUDA).", "Options can stand in a file: warpbert finetune @recipes/cola.args --train ...",
                "Exit codes: 0 done, 1 failed, 2 wrong usage."})
public final class Main implements Callable<Integer> {
    private static final int FAILED = 1;

    @CommandLine.Spec CommandLine.Model.CommandSpec spec;

    @CommandLine.Option(names = {"-h", "--help"}, usageHelp = true, description = "Show this help.")
    private boolean help;

    @CommandLine.Option(names = {"-V", "--version"}, versionHelp = true, description = "Show the version.")
    private boolean version;

    private Main() {}

    /** Runs one command and exits. */
    public static void main(String[] args) {
        PrintStream err = new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
        Terminal terminal = new Terminal(System.in, new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16),
                err, Boolean.getBoolean("warpbert.terminal"));
        Interrupt.install(terminal);
        int code = run(args, terminal);
        Interrupt.finished();
        System.exit(code);
    }

    /** Runs one command. @return the exit code */
    static int run(String[] args, Terminal terminal) {
        CommandLine.tracer().setLevel(CommandLine.TraceLevel.OFF); // else an option given again is warned of
        CommandLine line = new CommandLine(new Main());
        Map<String, Supplier<Object>> commands = commands(terminal);
        String first = args.length == 0 ? "" : args[0];
        if (commands.containsKey(first) && !first.equals("help")) { // the others need not be looked at, which halves the start
            commands.keySet().retainAll(Set.of(first));
        }
        if (!first.equals("--version")) {
            commands.forEach((name, command) -> line.addSubcommand(name, command.get()));
        }
        line.setOverwrittenOptionsAllowed(true) // what stands after an @file overrides it
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setAbbreviatedOptionsAllowed(false)
                .setOut(new PrintWriter(new TerminalWriter(terminal)))
                .setErr(new PrintWriter(terminal.err(), true))
                .setParameterExceptionHandler((e, given) -> misused(e, given, terminal))
                .setExecutionExceptionHandler((e, failed, result) -> failed(e, terminal, result));
        try {
            int code = line.execute(args);
            terminal.flush();
            return code;
        } catch (RuntimeException | Error e) {
            return failed(e, terminal, null);
        }
    }

    private static Map<String, Supplier<Object>> commands(Terminal terminal) {
        Map<String, Supplier<Object>> commands = new LinkedHashMap<>(); // in the order of the help
        commands.put("demo", () -> new DemoCommand(terminal));
        commands.put("finetune", () -> new FinetuneCommand(terminal));
        commands.put("pretrain", () -> new PretrainCommand(terminal));
        commands.put("plan", () -> new PlanCommand(terminal));
        commands.put("evaluate", () -> new EvaluateCommand(terminal));
        commands.put("predict", () -> new PredictCommand(terminal));
        commands.put("split", () -> new SplitCommand(terminal));
        commands.put("tokenize", () -> new TokenizeCommand(terminal));
        commands.put("embed", () -> new EmbedCommand(terminal));
        commands.put("fill-mask", () -> new FillMaskCommand(terminal));
        commands.put("convert", () -> new ConvertCommand(terminal));
        commands.put("plot", () -> new PlotCommand(terminal));
        commands.put("bench", () -> new BenchCommand(terminal));
        commands.put("models", () -> new ModelsCommand(terminal));
        commands.put("doctor", () -> new DoctorCommand(terminal));
        commands.put("help", CommandLine.HelpCommand::new);
        return commands;
    }

    @Override
    public Integer call() {
        throw new CommandLine.ParameterException(spec.commandLine(), "Missing command; there are: "
                + String.join(", ", spec.subcommands().keySet()) + ".");
    }

    private static int misused(CommandLine.ParameterException e, String[] args, Terminal terminal) {
        String missing = Arrays.stream(args).filter(arg -> arg.startsWith("@") && !arg.startsWith("@@"))
                .map(arg -> arg.substring(1)).filter(file -> !Files.exists(Path.of(file))).findFirst().orElse(null);
        terminal.note("warpbert: " + (missing == null ? oneLine(e.getMessage()) : "there is no argument file " + missing));
        terminal.note("Try: " + e.getCommandLine().getCommandSpec().qualifiedName() + " --help");
        return CommandLine.ExitCode.USAGE;
    }

    private static int failed(Throwable e, Terminal terminal, CommandLine.ParseResult parsed) {
        if (e instanceof Terminal.Closed) {
            return CommandLine.ExitCode.OK;
        }
        if (Interrupt.underWay()) { // what fails now fails because its files are being taken away; the interrupt has its own line
            return FAILED;
        }
        terminal.note("warpbert: " + message(e));
        if (verbose(parsed)) {
            e.printStackTrace(terminal.err());
        }
        return FAILED;
    }

    private static boolean verbose(CommandLine.ParseResult parsed) {
        if (Boolean.getBoolean("warpbert.trace")) {
            return true;
        }
        for (CommandLine.ParseResult p = parsed; p != null; p = p.subcommand()) {
            if (p.commandSpec().userObject() instanceof WarpBertCommand command && command.verbose) {
                return true;
            }
        }
        return false;
    }

    private static String message(Throwable e) {
        if (e instanceof WarpBertException) {
            return oneLine(e.getMessage());
        }
        if (e instanceof OutOfMemoryError) {
            return "out of memory (" + e.getMessage() + "); the Java heap can be made larger with WARPBERT_JAVA_OPTS=-Xmx8g";
        }
        Throwable cause = e instanceof ExceptionInInitializerError && e.getCause() != null ? e.getCause() : e;
        return cause instanceof WarpBertException ? oneLine(cause.getMessage())
                : "unexpected " + oneLine(cause.toString()) + "; --verbose shows where";
    }

    private static String oneLine(String text) {
        return String.valueOf(text).strip().replaceAll("\\s*\\R\\s*", " ");
    }
}
