package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Tests of results that have to be the same everywhere: they take their device from {@link
 * TestDevice} and run on each, and leave nothing open. A case that the stubs of NVIDIA's libraries
 * compute for too long has the tag {@code slow-on-stubs}.
 */
@SuppressWarnings("exports") // JUnit, which only the tests know
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Tag("device")
@ExtendWith(OnEveryDevice.NothingOpen.class)
public @interface OnEveryDevice {

    /** Looks for devices and scopes that a test left open, with {@code -Djlatent.leaks=true}. */
    final class NothingOpen implements AfterEachCallback {
        @Override
        public void afterEach(ExtensionContext context) {
            assertEquals(List.of(), Leaks.open(), "left open");
        }
    }
}
