/** What another kind of device implements, and how it is found. */
package org.jlatent.spi;
