package org.warpbert.cli;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;
import picocli.CommandLine;

/** The version that Maven put in the jar. */
public final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() throws IOException {
        Properties pom = new Properties();
        try (InputStream in = Version.class.getResourceAsStream("/META-INF/maven/org.warpbert/warpbert/pom.properties")) {
            if (in != null) {
                pom.load(in);
            }
        }
        return new String[] {"WarpBERT " + pom.getProperty("version", "(built without a jar)")
                + ", Java " + System.getProperty("java.version")};
    }
}
